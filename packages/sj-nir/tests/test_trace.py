from __future__ import annotations

from collections import OrderedDict

import pytest
import torch
from torch import Tensor, nn

import sj_layers as layer
import sj_nir
from sj_neurons.neuron import IFNode
from sj_nir.trace import step_mode_of


class Branching(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x if x.sum() > 0 else -x


def test_control_flow_on_values_is_refused():
    with pytest.raises(sj_nir.ExportError, match=r"cannot follow Branching\.forward"):
        sj_nir.export_to_nir(Branching(), torch.rand(1, 3))


def test_an_example_that_does_not_fit_names_the_module():
    net = nn.Sequential(nn.Linear(3, 4), nn.Linear(5, 6))
    with pytest.raises(sj_nir.ExportError, match=r"node '_1' \(Linear at '1'\)") as caught:
        sj_nir.export_to_nir(net, torch.rand(1, 3))
    assert "\n" not in str(caught.value)


class ShapeMistake(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(7)


def test_a_failing_operation_is_named():
    with pytest.raises(sj_nir.ExportError, match=r"node 'flatten' \(call_method flatten\)"):
        sj_nir.export_to_nir(ShapeMistake(), torch.rand(1, 3))


def test_mixed_step_modes_are_refused():
    net = nn.Sequential(layer.Flatten(), layer.Linear(3, 3), IFNode(step_mode="m"))
    with pytest.raises(sj_nir.ExportError, match=r"0 \(Flatten\).* 2 \(IFNode\)"):
        sj_nir.export_to_nir(net, torch.rand(1, 1, 3))


def test_a_linear_layer_has_no_say_in_the_step_mode():
    assert step_mode_of(nn.Sequential(layer.Linear(3, 3), IFNode(step_mode="m"))) == "m"
    assert step_mode_of(nn.Linear(3, 3)) == "s"


def test_linear_layers_alone_have_their_own_step_mode():
    net = layer.Linear(3, 2, step_mode="m")
    graph = sj_nir.export_to_nir(net, torch.rand(5, 4, 3))
    assert graph.nodes["_0"].weight.shape == (2, 3)
    assert step_mode_of(nn.Sequential(net, layer.Linear(2, 2))) == "s"


def test_modules_may_be_called_like_words_of_python_and_attributes_of_torch_fx():
    net = nn.Sequential()
    for name in ("if", "graph", "code", "meta", "graph_"):
        net.add_module(name, nn.Linear(3, 3))
    net.add_module("blocks", nn.Sequential(OrderedDict({"in": nn.Linear(3, 3)})))
    x = torch.rand(2, 3)
    back = sj_nir.import_from_nir(sj_nir.export_to_nir(net, x))
    torch.testing.assert_close(back(x)[0], net(x), rtol=0, atol=0)


class Head(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.flatten(x, 1)


@pytest.mark.parametrize("flatten", [nn.Flatten, Head, lambda: nn.Sequential(nn.Flatten(1))])
def test_containers_that_fold_time_export_their_children(flatten):
    net = nn.Sequential(
        layer.SeqToANNContainer(nn.Conv2d(1, 2, 3), nn.AvgPool2d(2), flatten(), nn.Linear(8, 5)),
        IFNode(step_mode="m"),
    )
    x_seq = torch.rand(6, 3, 1, 6, 6) * 3
    graph = sj_nir.export_to_nir(net, x_seq)
    assert [type(node).__name__ for node in graph.nodes.values()] == [
        "Input", "Conv2d", "AvgPool2d", "Flatten", "Affine", "IF", "Output",
    ]  # fmt: skip
    back = sj_nir.import_from_nir(graph, step_mode="m")
    torch.testing.assert_close(back(x_seq)[0], net(x_seq), rtol=0, atol=0)


def test_a_container_alone_can_be_exported():
    net = layer.SeqToANNContainer(nn.Conv2d(1, 2, 3))
    graph = sj_nir.export_to_nir(net, torch.rand(2, 1, 1, 4, 4))
    assert list(graph.nodes) == ["input_1", "_0_0", "output"]


def test_torch_flatten_in_a_sequence_counts_time_and_batch():
    net = nn.Sequential(IFNode(step_mode="m"), nn.Flatten(2))
    graph = sj_nir.export_to_nir(net, torch.rand(4, 2, 3, 5))
    assert (graph.nodes["_1"].start_dim, graph.nodes["_1"].end_dim) == (0, -1)
    with pytest.raises(sj_nir.NotSupportedError, match="time and batch axes"):
        sj_nir.export_to_nir(
            nn.Sequential(IFNode(step_mode="m"), nn.Flatten(1)), torch.rand(4, 2, 3, 5)
        )
