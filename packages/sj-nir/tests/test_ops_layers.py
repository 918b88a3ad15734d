from __future__ import annotations

import nir
import numpy as np
import pytest
import torch
from torch import nn

import sj_layers as layer
import sj_nir


def export(module: nn.Module, *shape: int) -> nir.NIRNode:
    return sj_nir.export_to_nir(module, torch.rand(1, *shape)).nodes["_0"]


@pytest.mark.parametrize(
    ("module", "shape"),
    [
        (layer.Conv2d(2, 4, (3, 5), stride=(1, 2), padding=(1, 2), bias=False), (2, 7, 9)),
        (nn.Conv2d(4, 8, 3, groups=2, dilation=2, padding="valid"), (4, 7, 9)),
        (nn.Conv2d(2, 2, (1, 5), padding="same"), (2, 7, 9)),
        (nn.AvgPool2d(2), (2, 7, 9)),
        (layer.AvgPool2d((3, 2), stride=1, padding=1), (2, 7, 9)),
        (nn.AvgPool2d(3, padding=0, count_include_pad=False), (2, 7, 9)),
        (nn.Flatten(), (2, 3, 4)),
        (layer.Flatten(1, 2), (2, 3, 4)),
        (nn.Flatten(-2), (2, 3, 4)),
        (nn.Linear(3, 4), (3,)),
        (layer.Linear(3, 4, bias=False), (3,)),
    ],
)
def test_layers_come_back_equal(module, shape):
    x = torch.rand(3, *shape)
    back = sj_nir.import_from_nir(sj_nir.export_to_nir(module, x))
    torch.testing.assert_close(back(x)[0], module(x), rtol=0, atol=1e-6)


def test_conv_without_bias_gets_zeros():
    node = export(layer.Conv2d(1, 2, 3, bias=False), 1, 5, 5)
    np.testing.assert_array_equal(node.bias, np.zeros(2, np.float32))
    assert node.bias.dtype == np.float32 and node.input_shape == (5, 5)


def test_linear_without_bias_is_its_own_kind():
    assert isinstance(export(nn.Linear(2, 3, bias=False), 2), nir.Linear)
    assert isinstance(export(nn.Linear(2, 3), 2), nir.Affine)


def test_bfloat16_weights_are_written_as_float32():
    module = nn.Linear(2, 3, dtype=torch.bfloat16)
    node = sj_nir.export_to_nir(module, torch.rand(1, 2, dtype=torch.bfloat16)).nodes["_0"]
    assert node.weight.dtype == np.float32
    np.testing.assert_array_equal(node.weight, module.weight.detach().float().numpy())


@pytest.mark.parametrize(
    ("module", "shape", "message"),
    [
        (nn.Conv2d(1, 1, 3, padding=1, padding_mode="circular"), (1, 5, 5), "padding_mode='circ"),
        (nn.AvgPool2d(2, ceil_mode=True), (1, 5, 5), "ceil_mode=True"),
        (nn.AvgPool2d(2, divisor_override=3), (1, 4, 4), "divisor_override"),
        (nn.AvgPool2d(3, padding=1, count_include_pad=False), (1, 5, 5), "count_include_pad"),
        (nn.Linear(3, 4), (2, 3), r"shape \(2, 3\), NIR maps vectors"),
        (nn.Conv2d(1, 1, 2), (5, 5), r"shape \(5, 5\), expected \(C, H, W\)"),
        (nn.Flatten(0), (3, 4), "changes the batch axis"),
        (nn.Flatten(0), (1,), "start_dim=0, end_dim=-1 reach outside"),
        (nn.Flatten(-2), (1,), "start_dim=-2, end_dim=-1 reach outside"),
    ],
)
def test_options_that_nir_cannot_say(module, shape, message):
    with pytest.raises(sj_nir.NotSupportedError, match=message):
        export(module, *shape)


@pytest.mark.parametrize(
    ("node", "message"),
    [
        (
            nir.Conv2d(None, np.ones((1, 1, 3, 3)), 2, "same", 1, 1, np.zeros(1)),
            "field 'padding': 'same' needs stride 1",
        ),
        (
            nir.Conv2d(None, np.ones((1, 1, 3, 3)), 1, 1, 1, 1, np.zeros(2)),
            r"field 'bias': expected shape \(1,\)",
        ),
        (nir.AvgPool2d(2, 2, 2), r"field 'padding': \(2, 2\) is more than half"),
    ],
)
def test_nodes_that_torch_cannot_run(node, message):
    shape = np.array([1, 6, 6])
    graph = nir.NIRGraph(
        {"i": nir.Input(shape), "n": node, "o": nir.Output(None)},
        [("i", "n"), ("n", "o")],
        type_check=False,
    )
    with pytest.raises(sj_nir.NIRError, match=f"node 'n', {message}"):
        sj_nir.import_from_nir(graph)


def test_an_unknown_padding_is_named():
    node = nir.Conv2d(None, np.ones((1, 1, 3, 3)), 1, "same", 1, 1, np.zeros(1))
    node.padding = "reflect"
    graph = nir.NIRGraph(
        {"i": nir.Input(np.array([1, 6, 6])), "n": node, "o": nir.Output(None)},
        [("i", "n"), ("n", "o")],
        type_check=False,
    )
    with pytest.raises(sj_nir.NIRGraphError, match=r"field 'padding': .*got 'reflect'"):
        sj_nir.import_from_nir(graph)
