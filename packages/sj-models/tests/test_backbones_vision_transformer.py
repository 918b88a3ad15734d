"""Vision transformers: outputs, positions of other sizes, options."""

import pytest
import torch
from torch import nn

from sj_models.backbones.position import resize_position_embedding
from sj_models.backbones.vision_transformer import ARCHITECTURES, VisionTransformer
from sj_neurons import functional
from sj_neurons.base import StepModule

ARCH = {"embed_dims": 16, "num_layers": 2, "num_heads": 2, "feedforward_channels": 32}
X = 2 * torch.rand(3, 2, 3, 16, 16, generator=torch.Generator().manual_seed(0))


def vit(**options):
    torch.manual_seed(0)
    net = VisionTransformer(**{"arch": ARCH, "img_size": 16, "patch_size": 4, **options})
    net.init_weights()
    return net.eval()


def firing(net):
    """In evaluation mode, with statistics that let the neurons fire."""
    for module in net.train().modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.momentum = None  # the average of all batches, here of one
    net(X)
    functional.reset_net(net)
    return net.eval()


@pytest.mark.parametrize(
    ("name", "parameters"),
    [("deit-tiny", 5_524_416), ("deit-t", 5_524_416), ("deit-s", 21_665_664), ("b", 85_798_656)],
)
def test_parameters_of_the_named_sizes(name, parameters):
    with torch.device("meta"):
        net = VisionTransformer(name)
    assert sum(p.numel() for p in net.parameters()) == parameters
    assert ARCHITECTURES["deit-base"] == ARCHITECTURES["base"]


def test_tokens_keep_their_order():
    net = vit(out_type="featmap", out_indices=(0,), final_norm=False)
    raw = vit(out_type="raw", out_indices=(0,), final_norm=False)
    raw.load_state_dict(net.state_dict())
    y, tokens = net(X[0])[0], raw(X[0])[0]
    assert torch.equal(y[:, :, 1, 2], tokens[:, 1 + 4 + 2])
    avg = vit(out_type="avg_featmap", with_cls_token=False)
    assert avg(X[0])[0].shape == (2, 16) and avg.cls_token is None
    assert "ln2.weight" in avg.state_dict()


def test_features_by_hand():
    net = vit()
    tokens, grid = net.patch_embed(X[0])
    assert grid == net.patch_resolution == (4, 4)
    x = torch.cat((net.cls_token.expand(2, -1, -1), tokens), 1) + net.pos_embed
    for layer in net.layers:
        x = layer(x)
    torch.testing.assert_close(net(X[0])[0], net.ln1(x)[:, 0])


@pytest.mark.parametrize("neuron", [None, "LIF"])
def test_other_image_sizes_resize_the_positions(neuron):
    net = vit(neuron=neuron, out_type="featmap")
    x = torch.rand(2, 1, 3, 24, 12) if neuron else torch.rand(1, 3, 24, 12)
    assert net(x)[0].shape[-2:] == (6, 3)
    extra = net.num_extra_tokens
    expected = resize_position_embedding(net.pos_embed, (4, 4), (6, 3), "bicubic", extra)
    assert torch.equal(net.positions((6, 3)), expected)


@pytest.mark.parametrize("neuron", [None, "LIF"])
def test_positions_of_another_grid_are_resized_on_loading(neuron, tmp_path):
    large, small = vit(img_size=32, neuron=neuron), vit(neuron=neuron)
    state = large.state_dict()
    expected = resize_position_embedding(
        state["pos_embed"], (8, 8), (4, 4), num_extra_tokens=small.num_extra_tokens
    )
    small.load_state_dict(state)
    assert torch.equal(small.pos_embed, expected)
    assert state["pos_embed"].shape[1] >= 64
    nested = nn.ModuleDict({"backbone": vit(neuron=neuron)})
    nested.load_state_dict({f"backbone.{key}": value for key, value in state.items()})
    assert torch.equal(nested["backbone"].pos_embed, expected)


def test_positions_that_cannot_be_resized_are_refused():
    net = vit()
    state = net.state_dict()
    for shape in ((1, 12, 16), (1, 17, 8)):
        with pytest.raises(RuntimeError, match="pos_embed"):
            net.load_state_dict({**state, "pos_embed": torch.zeros(shape)})


def test_a_spiking_transformer_has_no_softmax_no_cls_token_and_no_layer_norm():
    net = firing(vit(neuron={"type": "LIF", "tau": 1.5}, out_type="raw", out_indices=[0, 1]))
    currents, spikes = net(X)
    assert currents.shape == spikes.shape == (3, 2, 16, 16)
    assert set(spikes.unique().tolist()) == {0.0, 1.0} and len(currents.unique()) > 2
    assert not any(isinstance(module, nn.LayerNorm | nn.Softmax) for module in net.modules())
    assert all(m.step_mode == "m" for m in net.modules() if isinstance(m, StepModule))
    assert net.cls_token is None and net.pos_embed.shape == (1, 16, 16)
    rates = firing(vit(neuron="LIF"))(X)[0]
    assert rates.shape == (3, 2, 16) and 0 < rates.max() <= 1
    assert vit(neuron="LIF", out_type="raw", final_norm=False)(X)[0].shape == (3, 2, 16, 16)


def test_options_of_the_layers():
    net = vit(
        layer_scale_init_value=0.1,
        drop_path_rate=0.2,
        drop_rate=0.1,
        qkv_bias=False,
        pre_norm=True,
        patch_cfg={"stride": 2},
        layer_cfgs={"act_cfg": {"type": "ReLU"}},
    )
    keys = net.state_dict()
    assert "layers.0.attn.gamma1.weight" in keys and "layers.0.attn.qkv.bias" not in keys
    assert "pre_norm.weight" in keys and "patch_embed.projection.bias" not in keys
    assert net.patch_resolution == (7, 7)
    assert [layer.drop_path.drop_prob for layer in net.layers] == pytest.approx([0.0, 0.2])
    assert isinstance(net.layers[0].ffn.layers[0][1], nn.ReLU)
    assert net(X[0])[0].shape == (2, 16)
    each = vit(layer_cfgs=[{"num_fcs": 2}, {"num_fcs": 3}])
    assert len(each.layers[1].ffn.linears()) == 3


def test_positions_start_small_and_cut_off():
    net = vit()
    assert 0.01 < net.pos_embed.std() < 0.03
    bound = (6 / (16 + 32)) ** 0.5
    assert net.layers[0].ffn.linears()[0].weight.abs().max() <= bound


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"arch": "tiny"}, "there is no arch 'tiny'.*deit-tiny"),
        ({"arch": {"embed_dims": 8}}, "arch needs the keys embed_dims, num_layers"),
        ({"arch": {**ARCH, "num_layers": 0}}, "arch: num_layers must be 1 or more"),
        ({"out_type": "tokens"}, "out_type must be one of .*raw"),
        ({"with_cls_token": False, "out_type": "cls_token"}, "needs a cls token"),
        ({"frozen_stages": 3}, "frozen_stages must be at most 2"),
        ({"layer_cfgs": [{}]}, "one for each of the 2 layers, got 1"),
        ({"neuron": "LIF", "out_type": "cls_token"}, "needs a cls token"),
        ({"neuron": "LIF", "with_cls_token": True}, "with neuron= there are no"),
        ({"neuron": "LIF", "layer_scale_init_value": 0.1}, "with neuron= there are no"),
        ({"neuron": "LIF", "patch_cfg": {"stride": 2}}, "with neuron= there are no"),
        ({"out_indices": 2}, "out_indices must be from -2 to 1"),
        ({"img_size": 3}, "at least one patch"),
        ({"patch_size": 0}, "patch_size must be 1 or more"),
        ({"arch": None}, "arch needs the keys"),
        ({"interpolate_mode": "cubic"}, "interpolate_mode must be one of .*'bicubic'"),
        ({"neuron": "LIF", "norm_cfg": {"type": "BN1d"}}, "with neuron= there are no"),
        ({"neuron": "LIF", "qkv_bias": False}, "with neuron= there are no"),
    ],
)
def test_wrong_arguments_fail_at_construction(options, message):
    with pytest.raises(ValueError, match=message):
        vit(**options)
