from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

import sj_nir
from sj_neurons.neuron import IFNode


class Net(nn.Module):
    def __init__(self, code: Callable[[Net, Tensor], Tensor]) -> None:
        super().__init__()
        self.code = code
        self.a, self.b, self.n = nn.Linear(4, 4), nn.Linear(4, 4), IFNode()
        self.flat = nn.Flatten()

    def forward(self, x: Tensor) -> Tensor:
        return self.code(self, x)


def unused_branch(net: Net, x: Tensor) -> Tensor:
    net.n(net.b(x).argmax(1, keepdim=True))
    return net.a(x)


def test_what_does_not_reach_the_output_is_left_out():
    net, x = Net(unused_branch), torch.rand(2, 4)
    graph = sj_nir.export_to_nir(net, x)
    assert list(graph.nodes) == ["x", "a", "output"]
    assert torch.equal(sj_nir.import_from_nir(graph)(x)[0], net.a(x))


def read_before(net: Net, x: Tensor) -> Tensor:
    y = net.a(x)
    z = net.b(y)
    return net.n(y.add_(x)) + z


def chained(net: Net, x: Tensor) -> Tensor:
    return net.n(net.a(x).add_(x).sub_(net.b(x)))


def augmented(net: Net, x: Tensor) -> Tensor:
    y = net.a(x)
    y += x
    y -= net.b(x)
    y *= 3
    y /= 2
    return net.n(y)


@pytest.mark.parametrize("code", [read_before, chained, augmented])
def test_values_changed_in_place_and_not_read_again_are_fine(code):
    net, x = Net(code), 3 * torch.rand(2, 4)
    back = sj_nir.import_from_nir(sj_nir.export_to_nir(net, x))
    torch.testing.assert_close(back(x)[0], net(x))


def read_after(net: Net, x: Tensor) -> Tensor:
    y = net.a(x)
    return net.n(y.add_(x)) + net.b(y)


def view_read_after(net: Net, x: Tensor) -> Tensor:
    y = net.a(x)
    z = net.flat(y)
    return net.n(y.add_(x)) + net.b(z)


def result_unused(net: Net, x: Tensor) -> Tensor:
    y = net.a(x)
    y.mul_(2)
    return net.n(y)


def read_under_another_name(net: Net, x: Tensor) -> Tensor:
    y = z = net.a(x)
    y += x
    return net.n(y) + net.b(z)


@pytest.mark.parametrize(
    "code", [read_after, view_read_after, result_unused, read_under_another_name]
)
def test_values_changed_in_place_and_read_again_are_refused(code):
    with pytest.raises(sj_nir.NotSupportedError, match=r"(add_|mul_|iadd)\): changes in place"):
        sj_nir.export_to_nir(Net(code), torch.rand(2, 4))


def test_the_example_is_not_changed():
    x = torch.rand(2, 4)
    before = x.clone()
    sj_nir.export_to_nir(Net(lambda net, x: net.n(x.add_(net.a(x)))), x)
    assert torch.equal(x, before)


def test_three_branches_summed_by_the_builtin():
    net, x = Net(lambda net, x: net.n(sum([net.a(x), net.b(x), x]))), torch.rand(2, 4)
    graph = sj_nir.export_to_nir(net, x)
    assert {edge for edge in graph.edges if edge[1] == "n"} == {("a", "n"), ("b", "n"), ("x", "n")}
