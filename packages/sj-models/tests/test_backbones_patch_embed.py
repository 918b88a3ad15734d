"""Images to tokens, and masks that nothing passes."""

import pytest
import torch

from sj_models.backbones.patch_embed import PatchEmbed, SpikingPatchEmbed
from sj_models.transformer_parts import Neurons
from sj_neurons import functional, neuron


def spiking(patch_size=4, **kwargs):
    torch.manual_seed(0)
    net = SpikingPatchEmbed(2, 16, 16, patch_size, Neurons("test", neuron.IFNode, {}), **kwargs)
    functional.set_step_mode(net, "m")
    return net


def test_tokens_are_row_major_patches():
    net = PatchEmbed(1, 4, (4, 6), 2)
    with torch.no_grad():
        net.projection.weight.copy_(torch.eye(4).view(4, 1, 2, 2))
        net.projection.bias.zero_()
    x = torch.arange(24.0).view(1, 1, 4, 6)
    tokens, grid = net(x)
    assert grid == net.init_out_size == (2, 3)
    assert torch.equal(tokens[0, 4], x[0, 0, 2:, 2:4].flatten())


def test_overlapping_patches_and_a_norm():
    net = PatchEmbed(3, 8, 16, 4, stride=2, padding=1, bias=False, norm_cfg={"type": "LN"})
    tokens, grid = net(torch.rand(2, 3, 16, 16))
    assert grid == net.init_out_size == (8, 8)
    torch.testing.assert_close(tokens.mean(-1), torch.zeros(2, 64), rtol=0, atol=1e-5)


@pytest.mark.parametrize("patch_size", [1, 2, 4, 8, 16])
def test_a_spiking_stem_halves_the_size_log2_of_patch_times(patch_size):
    net = spiking(patch_size)
    tokens, grid = net(torch.rand(2, 1, 2, 17, 19))
    assert grid == (17 // patch_size, 19 // patch_size)
    assert tokens.shape == (2, 1, grid[0] * grid[1], 16)


def test_neurons_are_silent_under_the_mask():
    net = spiking(patch_size=4)
    visible = torch.zeros(1, 4, 4)
    visible[0, 1, 2] = visible[0, 1, 3] = 1
    maps = []
    for stage in net.stages:
        stage["sn"].register_forward_hook(lambda module, args, output: maps.append(output))
    tokens, _ = net(4 * torch.rand(3, 1, 2, 16, 16), visible)
    assert len(maps) == 4
    for spikes in maps:
        scale = spikes.shape[-1] // 4
        seen = visible.repeat_interleave(scale, 1).repeat_interleave(scale, 2)
        assert not (spikes * (1 - seen)).any()
    assert maps[0].any()
    assert not tokens[:, 0, [0, 5, 15]].any()


def test_a_repeated_image_is_masked_once():
    net = spiking(patch_size=4).eval()
    image, visible = torch.rand(1, 1, 2, 16, 16), torch.ones(1, 4, 4)
    visible[0, 0] = 0
    seen = []
    net.stages[0]["conv_bn"].register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    y = net(image.expand(3, -1, -1, -1, -1), visible)[0]
    functional.reset_net(net)
    torch.testing.assert_close(net(image.repeat(3, 1, 1, 1, 1), visible)[0], y)
    assert seen[0].stride(0) == 0


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: PatchEmbed(3, 8, 8, 16), "at least one patch"),
        (lambda: spiking(32), "patch_size 1, 2, 4, 8 or 16"),
        (lambda: spiking((4, 8)), "patch_size 1, 2, 4, 8 or 16"),
        (lambda: spiking()(torch.rand(1, 1, 2, 3, 8)), "at least one patch"),
    ],
)
def test_bad_sizes(build, message):
    with pytest.raises(ValueError, match=message):
        build()
