"""Masked encoders: what is hidden stays hidden."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from sj_models.backbones.mae_vit import MAEViT, random_masking
from sj_models.backbones.position import sincos_position_embedding
from sj_models.backbones.vision_transformer import VisionTransformer
from sj_neurons import functional

ARCH = {"embed_dims": 16, "num_layers": 2, "num_heads": 2, "feedforward_channels": 32}


def images(neuron, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand((3, 2, 3, 16, 16) if neuron else (2, 3, 16, 16), generator=generator)


def mae(neuron=None, **options):
    torch.manual_seed(0)
    size = {"arch": ARCH, "img_size": 16, "patch_size": 4}
    net = MAEViT(**{**size, "neuron": neuron, **options})
    net.init_weights()
    if neuron:  # statistics that let neurons fire
        for module in net.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.momentum = None  # the average of all batches, here of one
        net(images(neuron), mask=False)
        functional.reset_net(net)
    return net.eval()


NETS = {neuron: mae(neuron) for neuron in (None, "LIF", "IF")}


def encoded(net, x, noise):
    functional.reset_net(net)
    return net(x, noise=noise)


@given(length=st.integers(1, 12), ratio=st.floats(0, 0.99), seed=st.integers(0, 100))
def test_masking_is_a_partition(length, ratio, seed):
    x = torch.arange(length, dtype=torch.float32).view(1, length, 1).expand(2, -1, -1)
    generator = torch.Generator().manual_seed(seed)
    kept, mask, restore = random_masking(x, ratio, generator=generator)
    keep = int(length * (1 - ratio))
    assert kept.shape == (2, keep, 1) and (mask.sum(1) == length - keep).all()
    for sample in range(2):
        visible = kept[sample, :, 0].long()
        assert not mask[sample, visible].any()
        assert torch.equal(restore[sample, visible], torch.arange(keep))
        assert sorted(restore[sample].tolist()) == list(range(length))


def test_masking_is_reproducible_and_shared_over_time():
    x = torch.rand(4, 2, 9, 5)
    first, second = (
        random_masking(x, 0.6, generator=torch.Generator().manual_seed(7)) for _ in range(2)
    )
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    kept, mask, _ = first
    assert kept.shape == (4, 2, 3, 5) and mask.shape == (2, 9)
    for sample in range(2):
        seen = x[:, sample, mask[sample] == 0]
        assert sorted(kept[:, sample].sum((0, 2)).tolist()) == pytest.approx(
            sorted(seen.sum((0, 2)).tolist())
        )


@settings(max_examples=12, deadline=None)
@given(
    neuron=st.sampled_from(list(NETS)),
    training=st.booleans(),
    seed=st.integers(0, 1000),
    scale=st.sampled_from([0.0, 1.0, 50.0]),
)
def test_hidden_pixels_never_change_visible_features(neuron, training, seed, scale):
    net = NETS[neuron].train(training)
    state = {key: value.clone() for key, value in net.state_dict().items()}
    x, noise = images(neuron, seed), torch.rand(2, 16)
    latent, mask, _ = encoded(net, x, noise)
    hidden = mask.view(2, 1, 4, 4).repeat_interleave(4, 2).repeat_interleave(4, 3)
    other = x * (1 - hidden) + scale * images(neuron, seed + 1) * hidden
    net.load_state_dict(state)
    changed = encoded(net, other, noise)[0]
    net.load_state_dict(state)
    assert torch.equal(latent, changed)
    assert latent.any()


@pytest.mark.parametrize("neuron", [None, "LIF"])
def test_visible_pixels_do_change_features(neuron):
    net = NETS[neuron].eval()
    noise = torch.rand(2, 16)
    latent, mask, _ = encoded(net, images(neuron), noise)
    hidden = mask.view(2, 1, 4, 4).repeat_interleave(4, 2).repeat_interleave(4, 3)
    other = images(neuron) * hidden + images(neuron, 5) * (1 - hidden)
    assert not torch.equal(encoded(net, other, noise)[0], latent)


@pytest.mark.parametrize("neuron", [None, "LIF"])
def test_without_a_mask_everything_is_seen(neuron):
    net = NETS[neuron].eval()
    x = images(neuron)
    plain = VisionTransformer(ARCH, 16, 4, out_type="raw", neuron=neuron).eval()
    plain.load_state_dict(net.state_dict())
    expected = plain(x)[0]
    for mask in (None, False):
        functional.reset_net(net)
        y = net(x, mask=mask)
        assert isinstance(y, tuple) and torch.equal(y[0], expected)
    functional.reset_net(net)
    latent, mask, restore = net(x)
    assert latent.shape == ((3, 2, 4, 16) if neuron else (2, 5, 16))
    assert mask.shape == restore.shape == (2, 16)


@pytest.mark.parametrize("neuron", [None, "LIF"])
def test_masks_are_drawn_from_a_generator(neuron):
    net = NETS[neuron].eval()
    masks = []
    for seed in (1, 1, 2):
        functional.reset_net(net)
        masks.append(net(images(neuron), generator=torch.Generator().manual_seed(seed))[1])
    assert torch.equal(masks[0], masks[1]) and not torch.equal(masks[0], masks[2])


@pytest.mark.parametrize("neuron", [None, "LIF"])
def test_positions_are_fixed_from_the_start(neuron):
    net = MAEViT(ARCH, 16, 4, neuron=neuron)
    expected = sincos_position_embedding(4, 16, cls_token=neuron is None)
    assert torch.equal(net.pos_embed, expected) and not net.pos_embed.requires_grad
    net.init_weights()
    assert torch.equal(net.pos_embed, expected)
    assert net.num_patches == 16
    if neuron is None:
        assert net.cls_token.std() > 0
        bound = (6 / (16 + 48)) ** 0.5
        assert 0.8 * bound < net.patch_embed.projection.weight.abs().max() <= bound


def test_other_image_sizes_are_masked_too():
    latent, mask, _ = mae(mask_ratio=0.5)(torch.rand(1, 3, 24, 8))
    assert mask.shape == (1, 12) and latent.shape == (1, 7, 16)


class SeedMAE(VisionTransformer):
    """The walk-through's encoder, corrected."""

    def __init__(self, mask_ratio, **kwargs):
        super().__init__(**kwargs)
        self.pos_embed.requires_grad = False
        self.mask_ratio = mask_ratio
        self.num_patches = self.patch_resolution[0] * self.patch_resolution[1]

    def forward(self, x, mask=True, noise=None):
        if not mask:
            return super().forward(x)
        x = self.patch_embed(x)[0]
        x = x + self.pos_embed[:, 1:, :]
        x, mask, ids_restore = random_masking(x, self.mask_ratio, noise=noise)
        cls_token = self.cls_token + self.pos_embed[:, :1, :]
        x = torch.cat((cls_token.expand(x.shape[0], -1, -1), x), dim=1)
        for layer in self.layers:
            x = layer(x)
        return self.ln1(x), mask, ids_restore


def test_an_encoder_of_your_own():
    ours = NETS[None].eval()
    own = SeedMAE(0.75, arch=ARCH, img_size=16, patch_size=4, out_type="raw").eval()
    own.load_state_dict(ours.state_dict())
    x, noise = images(None), torch.rand(2, 16)
    for a, b in zip(own(x, noise=noise), ours(x, noise=noise), strict=True):
        torch.testing.assert_close(a, b)
    torch.testing.assert_close(own(x, mask=False)[0], ours(x, mask=False)[0])


@pytest.mark.parametrize("ratio", [1.0, -0.1])
def test_ratios_out_of_range(ratio):
    with pytest.raises(ValueError, match="mask_ratio must be in"):
        mae(mask_ratio=ratio)
    with pytest.raises(ValueError, match="mask_ratio must be in"):
        random_masking(torch.rand(1, 4, 2), ratio)


@pytest.mark.parametrize("mask", [torch.ones(2, 16), "yes", 1])
def test_a_mask_is_wanted_or_not(mask):
    with pytest.raises(TypeError, match="mask must be True, False or None"):
        NETS[None](images(None), mask)


def test_noise_of_another_shape():
    with pytest.raises(ValueError, match=r"expected noise \(2, 16\), got \(2, 9\)"):
        NETS[None](images(None), noise=torch.rand(2, 9))
