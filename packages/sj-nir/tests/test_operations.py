from __future__ import annotations

import nir
import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import sj_nir
from sj_neurons.neuron import IFNode


class Functional(nn.Module):
    def __init__(self, operation) -> None:
        super().__init__()
        self.n, self.operation = IFNode(), operation
        self.gain = nn.Parameter(torch.tensor([0.5, -2.0, 3.0]).view(3, 1))
        self.register_buffer("mask", torch.tensor([[[[1.0]], [[0.0]]]]))

    def forward(self, x: Tensor) -> Tensor:
        return self.n(self.operation(x, self))


def export(operation, *, step_mode: str = "s", shape=(5, 2, 3, 4)) -> nir.NIRGraph:
    net = Functional(lambda x, net: operation(x))
    net.n.step_mode = step_mode
    return sj_nir.export_to_nir(net, torch.rand(shape))


@pytest.mark.parametrize(
    ("reshape", "dims"),
    [
        (lambda x: torch.flatten(x, 1), (0, -1)),
        (lambda x: x.flatten(1), (0, -1)),
        (lambda x: x.flatten(1, 2), (0, 1)),
        (lambda x: x.view(x.shape[0], -1), (0, -1)),
        (lambda x: x.contiguous().reshape(x.size(0), 2, 12), (1, -1)),
    ],
)
def test_flattening(reshape, dims):
    graph = export(reshape)
    (flatten,) = [node for node in graph.nodes.values() if isinstance(node, nir.Flatten)]
    assert (flatten.start_dim, flatten.end_dim) == dims


@pytest.mark.parametrize(
    "operation",
    [
        lambda x, net: x * 0.1,
        lambda x, net: 3 * x,
        lambda x, net: torch.mul(x, net.gain),
        lambda x, net: x * net.mask,
        lambda x, net: x * (net.gain.exp() + 1),
        lambda x, net: x / 4,
        lambda x, net: -x,
        lambda x, net: x - 0.5 * x,
        lambda x, net: torch.sub(x, net.gain * x, alpha=2),
        lambda x, net: torch.add(x, x, alpha=0.5),
        lambda x, net: x + x,
        lambda x, net: (x * 2) + (x * 2) + x,
        lambda x, net: x.clone().add_(x.detach()).mul_(0.3),
        lambda x, net: F.dropout(x, 0.5, net.training),
    ],
)
@pytest.mark.parametrize("step_mode", ["s", "m"])
def test_what_is_exported_computes_the_same(operation, step_mode):
    net = Functional(operation).eval()
    net.n.step_mode = step_mode
    x = torch.randn(3, 5, 2, 3, 4) if step_mode == "m" else torch.randn(5, 2, 3, 4)
    back = sj_nir.import_from_nir(sj_nir.export_to_nir(net, x), step_mode=step_mode)
    with torch.no_grad():
        torch.testing.assert_close(back(x)[0], net(x), rtol=0, atol=0)


def test_sums_are_edges_and_factors_are_scales():
    graph = export(lambda x: x * 2 - x)
    assert [type(node).__name__ for node in graph.nodes.values()] == [
        "Input", "Scale", "Scale", "IF", "Output",
    ]  # fmt: skip
    assert [source for source, target in graph.edges if target == "n"] == ["mul", "sub"]
    assert np.unique(graph.nodes["sub"].scale).tolist() == [-1.0]


@pytest.mark.parametrize(
    ("operation", "message"),
    [
        (lambda x: x.mean(1), "call_method mean"),
        (lambda x: x.flatten(0), "changes the batch axis"),
        (lambda x: x.reshape(x.shape[0], 8, 3), r"\(2, 3, 4\) into \(8, 3\)"),
        (lambda x: x + 1, "adds only outputs of nodes"),
        (lambda x: x + torch.ones(4), "adds only outputs of nodes"),
        (lambda x: x + x.contiguous()[:1], "call_function getitem"),
        (lambda x: x + x.flatten(2).view(5, 2, 3, 4), "can only merge axes"),
        (lambda x: x * x, "multiply outputs of nodes with each other"),
        (lambda x: 1 / x, "divides by constants only"),
        (lambda x: torch.div(x, 2, rounding_mode="floor"), "divides by constants only"),
        (lambda x: x * float("inf"), "not finite"),
        (lambda x: x * torch.ones(5, 1, 1, 1), "differs between samples"),
        (lambda x: F.dropout(x), "call_function dropout"),
        (lambda x: torch.relu(x), "call_function relu"),
    ],
)
def test_what_nir_cannot_say_is_refused(operation, message):
    with pytest.raises(sj_nir.NotSupportedError, match=message):
        export(operation)


def test_factors_must_not_stretch_a_sample():
    with pytest.raises(sj_nir.NotSupportedError, match=r"changes the shape of a sample"):
        export(lambda x: x * torch.ones(3), shape=(5, 1))


def test_only_equal_shapes_add_up():
    with pytest.raises(sj_nir.NotSupportedError, match="only values of equal shape"):
        export(lambda x: x.flatten(1).view(5, 24)[:, :1] + x.flatten(1))


def test_products_need_a_feature_axis():
    with pytest.raises(sj_nir.NotSupportedError, match="give it a feature axis"):
        export(lambda x: x.flatten(1).sum(1) * 2)


class Driven(nn.Module):
    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.bias, self.module = nn.Parameter(torch.ones(3)), module

    def forward(self, x: Tensor) -> Tensor:
        return x + self.module(self.bias)


@pytest.mark.parametrize("module", [nn.Linear(3, 3), IFNode()])
def test_a_parameter_as_input_of_a_layer_is_refused(module):
    with pytest.raises(sj_nir.NotSupportedError, match=r"module \(.*\): a parameter or buffer"):
        sj_nir.export_to_nir(Driven(module), torch.rand(1, 3))
