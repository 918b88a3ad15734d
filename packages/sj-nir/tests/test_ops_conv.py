from __future__ import annotations

import nir
import numpy as np
import pytest
import torch
from torch import nn

import sj_layers as layer
import sj_nir


@pytest.mark.parametrize(
    ("module", "shape"),
    [
        (layer.Conv2d(2, 4, (3, 5), stride=(1, 2), padding=(1, 2), bias=False), (2, 7, 9)),
        (nn.Conv2d(4, 8, 3, groups=2, dilation=2, padding="valid"), (4, 7, 9)),
        (nn.Conv2d(2, 2, (1, 5), padding="same"), (2, 7, 9)),
        (nn.Conv2d(2, 2, 3, padding="same", dilation=(1, 2)), (2, 7, 9)),
        (layer.WSConv2d(2, 3, 3, gain=True), (2, 7, 9)),
        (nn.Conv1d(2, 4, 3, stride=2, padding=1, dilation=2), (2, 9)),
        (layer.Conv1d(4, 4, 5, groups=4, padding="same", bias=False), (4, 9)),
        (layer.Conv1d(4, 2, 2, padding="valid", step_mode="m"), (4, 9)),
    ],
)
def test_convolutions_come_back_equal(module, shape):
    x = torch.rand(*((4,) if getattr(module, "step_mode", "s") == "m" else ()), 3, *shape)
    graph = sj_nir.export_to_nir(module, x)
    back = sj_nir.import_from_nir(graph, step_mode="m" if x.dim() > len(shape) + 1 else "s")
    torch.testing.assert_close(back(x)[0], module(x), rtol=0, atol=1e-6)
    assert tuple(graph.nodes["output"].output_type["output"]) == module(x).shape[-len(shape) :]


def test_missing_biases_become_zeros(node_of):
    node = node_of(layer.Conv2d(1, 2, 3, bias=False), 1, 5, 5)
    np.testing.assert_array_equal(node.bias, np.zeros(2, np.float32))
    assert node.bias.dtype == np.float32 and node.input_shape == (5, 5)
    assert node_of(nn.Conv1d(1, 2, 3, bias=False), 1, 5).input_shape == 5


@pytest.mark.parametrize(
    ("module", "shape", "message"),
    [
        (nn.Conv2d(1, 1, 3, padding=1, padding_mode="circular"), (1, 5, 5), "padding_mode='circ"),
        (nn.Conv1d(1, 1, 3, padding=1, padding_mode="reflect"), (1, 5), "padding_mode='reflect'"),
    ],
)
def test_options_that_nir_cannot_say(node_of, module, shape, message):
    with pytest.raises(sj_nir.NotSupportedError, match=message):
        node_of(module, *shape)


@pytest.mark.parametrize(
    ("module", "shape", "axes"),
    [(nn.Conv2d(1, 1, 2), (5, 5), r"\(C, H, W\)"), (nn.Conv1d(1, 1, 2), (5,), r"\(C, L\)")],
)
def test_samples_need_a_channel_axis(module, shape, axes):
    with pytest.raises(sj_nir.NotSupportedError, match=f"expected {axes} behind the batch axis"):
        sj_nir.export_to_nir(module, torch.rand(1, *shape))


def conv1d(weight, **fields) -> nir.Conv1d:
    values = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1, **fields}
    bias = values.pop("bias", np.zeros(weight[0]))
    size = values.pop("size", None)
    node = nir.Conv1d(size, np.ones(weight), **{**values, "padding": 0}, bias=bias)
    node.padding = values["padding"]
    return node


def conv2d(**fields) -> nir.Conv2d:
    values = {"stride": 1, "padding": 1, "dilation": 1, "groups": 1, "bias": np.zeros(1), **fields}
    return nir.Conv2d(None, np.ones((1, 1, 3, 3)), **values)


@pytest.mark.parametrize(
    ("node", "message"),
    [
        (conv2d(stride=2, padding="same"), "field 'padding': 'same' needs stride 1"),
        (conv2d(bias=np.zeros(2)), r"field 'bias': expected shape \(1,\)"),
    ],
)
def test_planar_nodes_that_torch_cannot_run(module_of, node, message):
    with pytest.raises(sj_nir.NIRError, match=f"node 'n', {message}"):
        module_of(node, 1, 6, 6)


@pytest.mark.parametrize(
    ("node", "message"),
    [
        (conv1d((3, 2, 3), padding="reflect"), "field 'padding': .*got 'reflect'"),
        (conv1d((3, 1, 3)), r"field 'weight': takes \(1, L\), but gets \(2, 8\)"),
        (conv1d((3, 2, 9)), "the kernel is larger than the padded input"),
        (conv1d((3, 1, 3), groups=2), "field 'groups': 2 does not divide the 3 output channels"),
        (conv1d((3, 2, 3), size=7), r"field 'input_shape': says \(7,\), but gets \(2, 8\)"),
        (conv1d((3, 2, 3), stride=np.array([1, 1])), "field 'stride': expected one integer"),
        (conv1d((3, 2, 3, 1)), r"field 'weight': expected \[Co, Ci/groups, K\]"),
        (conv1d((3, 2, 3), bias=np.full(3, np.nan)), "field 'bias': 3 of 3 values are NaN"),
    ],
)
def test_linear_sequences_that_do_not_fit(module_of, node, message):
    with pytest.raises(sj_nir.NIRError, match=f"node 'n'(, |: ){message}"):
        module_of(node, 2, 8)


def test_padding_of_one_number_in_an_array(module_of):
    module = module_of(conv1d((3, 2, 3), padding=np.array([1]), stride=np.array(2)), 2, 8)
    assert module.padding == (1,) and module.stride == (2,)
