"""Layers by name: what is built, what it is called, and what is refused."""

import pytest
import torch
from torch import nn

import sj_layers as layer
from sj_models.layers_from_config import (
    SyncBatchNorm,
    activation_factory,
    build_activation,
    build_conv_layer,
    build_norm_layer,
    scaled_norm_cfg,
)
from sj_models.registry import MODELS
from sj_neurons import functional, neuron


def test_convolution_is_conv2d_unless_named():
    conv = build_conv_layer(None, 3, 8, kernel_size=3, stride=2, padding=1, bias=False)
    assert isinstance(conv, layer.Conv2d)
    assert conv.stride == (2, 2) and conv.bias is None
    wide = build_conv_layer({"type": "Conv1d", "padding_mode": "circular"}, 2, 4, 3, padding=1)
    assert isinstance(wide, layer.Conv1d) and wide.padding_mode == "circular"
    assert isinstance(build_conv_layer({"type": "WSConv2d"}, 2, 4, 3), layer.WSConv2d)
    assert isinstance(build_conv_layer({"type": nn.Conv2d}, 2, 4, 3), nn.Conv2d)


@pytest.mark.parametrize(
    ("cfg", "kind", "name"),
    [
        ({"type": "BN"}, layer.BatchNorm2d, "bn1"),
        ({"type": "BN1d"}, layer.BatchNorm1d, "bn1"),
        ({"type": "BN2d", "eps": 1e-3}, layer.BatchNorm2d, "bn1"),
        ({"type": "BN3d"}, layer.BatchNorm3d, "bn1"),
        ({"type": "SyncBN"}, SyncBatchNorm, "bn1"),
        ({"type": "tdBN", "v_th": 0.5}, layer.ThresholdDependentBatchNorm2d, "bn1"),
        ({"type": "TEBN", "T": 4}, layer.TemporalEffectiveBatchNorm2d, "bn1"),
        ({"type": "BNTT", "T": 4}, layer.BatchNormThroughTime2d, "bn1"),
        ({"type": "GN", "num_groups": 2}, layer.GroupNorm, "gn1"),
        ({"type": "LN"}, nn.LayerNorm, "ln1"),
        ({"type": nn.LayerNorm}, nn.LayerNorm, "ln1"),
        ({"type": nn.BatchNorm2d}, nn.BatchNorm2d, "bn1"),
        ({"type": nn.GroupNorm, "num_groups": 4}, nn.GroupNorm, "gn1"),
    ],
)
def test_norms_and_their_names(cfg, kind, name):
    built_name, norm = build_norm_layer(cfg, 8, postfix=1)
    assert built_name == name
    assert type(norm) is kind


def test_norms_take_sequences_and_their_weights_can_be_frozen():
    x = torch.rand(4, 2, 8, 3, 3)
    for cfg in ({"type": "GN", "num_groups": 2}, {"type": "SyncBN"}, {"type": "tdBN"}):
        norm = build_norm_layer({**cfg, "requires_grad": False}, 8)[1].eval()
        functional.set_step_mode(norm, "m")
        torch.testing.assert_close(norm(x)[1], norm(x[1:2])[0])
        assert not any(parameter.requires_grad for parameter in norm.parameters())


def test_norms_of_summed_branches_share_the_threshold():
    cfg = {"type": "tdBN", "v_th": 2.0, "alpha": 1.0}
    half = scaled_norm_cfg(cfg, 2)
    norm = build_norm_layer(half, 4)[1]
    torch.testing.assert_close(norm.weight.detach(), torch.full((4,), 2.0 / 2**0.5))
    assert cfg["alpha"] == 1.0
    assert scaled_norm_cfg({"type": "BN"}, 2) == {"type": "BN"}


def test_registered_classes_can_be_named():
    class Scaled(nn.Conv2d):
        pass

    class Renormed(nn.BatchNorm2d):
        pass

    MODELS.register_module(name="_TestScaled", module=Scaled)
    MODELS.register_module(name="_TestRenormed", module=Renormed)
    assert isinstance(build_conv_layer({"type": "_TestScaled"}, 1, 1, 1), Scaled)
    name, norm = build_norm_layer({"type": "_TestRenormed"}, 3, "a")
    assert isinstance(norm, Renormed) and name == "bna"


def test_activations_and_neurons():
    assert isinstance(build_activation(None), nn.Identity)
    assert build_activation({"type": "ReLU", "inplace": True}).inplace
    make = activation_factory(None, {"type": "GELU"}, owner="net")
    assert isinstance(make(), nn.GELU) and make() is not make()
    make = activation_factory({"type": "LIF", "tau": 3.0}, {"type": "GELU"}, owner="net")
    assert isinstance(make(), neuron.LIFNode) and make().tau == 3.0


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: build_conv_layer({"type": "Conv2D"}, 1, 1, 1),
            ValueError,
            "did you mean 'Conv2d'",
        ),
        (lambda: build_norm_layer({"type": "GNN"}, 4), ValueError, "did you mean 'GN'"),
        (lambda: build_norm_layer({"type": "BN", "epsilon": 1}, 4), TypeError, "norm_cfg.*epsilon"),
        (lambda: build_norm_layer({"type": "GN"}, 4), TypeError, "norm_cfg.*num_groups"),
        (lambda: build_norm_layer({"eps": 1}, 4), TypeError, "a name or a class as 'type'"),
        (lambda: build_norm_layer("BN", 4), TypeError, "must be a mapping"),
        (lambda: build_activation({"type": "relu"}), ValueError, "did you mean 'ReLU'"),
        (lambda: activation_factory("LEF", None, owner="net"), ValueError, "net: .*'LEF'"),
        (lambda: activation_factory(None, {"type": "x"}, owner="n"), ValueError, "act_cfg"),
    ],
)
def test_what_cannot_be_built_is_named(call, error, message):
    with pytest.raises(error, match=message):
        call()
