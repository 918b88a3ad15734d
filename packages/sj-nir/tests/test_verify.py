"""verify: equal networks pass, and a fault is found at its own node and step."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import nir
import numpy as np
import pytest
import torch
from torch import Tensor, nn

import sj_layers as layer
import sj_nir
from sj_neurons.functional import set_step_mode
from sj_neurons.neuron import IFNode, LIFNode, ParametricLIFNode

T, N = 12, 3


@pytest.fixture
def x_seq() -> Tensor:
    return 2 * torch.rand(T, N, 2, 6, 6, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def net() -> nn.Sequential:
    torch.manual_seed(0)
    net = nn.Sequential(
        layer.Conv2d(2, 4, 3, padding=1),
        layer.BatchNorm2d(4),
        IFNode(),
        layer.AvgPool2d(2),
        layer.Dropout(0.5),
        layer.Flatten(),
        layer.Linear(36, 5),
        ParametricLIFNode(3.0, decay_input=False, v_reset=None),
    )
    norm: Any = net[1]
    norm.running_mean.uniform_(-0.1, 0.1)
    norm.running_var.uniform_(0.5, 2.0)
    return net


@pytest.fixture
def graph(net: nn.Module, x_seq: Tensor) -> nir.NIRGraph:
    return sj_nir.export_to_nir(net, x_seq[0])


@pytest.mark.parametrize("step_mode", ["s", "m"])
def test_a_network_equals_its_export_and_is_left_as_it_was(
    step_mode: str, net: nn.Module, graph: nir.NIRGraph, x_seq: Tensor, tmp_path: Path
) -> None:
    set_step_mode(net, step_mode)
    net.eval()
    with torch.no_grad():
        net(x_seq if step_mode == "m" else x_seq[0])
    net.train()
    before = copy.deepcopy(dict(net[2].named_memories()))  # pyright: ignore[reportIndexIssue]
    sj_nir.write_graph(tmp_path / "net.nir", graph)
    report = sj_nir.verify(net, tmp_path / "net.nir", x_seq)
    assert report.ok and report.first is None
    report.raise_if_different()
    assert report.compared == ("_0", "_2", "_3", "_5", "_6", "_7", "output")
    assert report.left_out == () and (report.steps, report.batch) == (T, N)
    assert str(report).startswith("equal (7 nodes, 12 steps, 3 samples)")
    torch.testing.assert_close(dict(net[2].named_memories()), before)  # pyright: ignore
    assert net.training and not net[2]._forward_hooks  # pyright: ignore


@pytest.mark.parametrize("step_mode", ["s", "m"])
def test_an_imported_network_equals_its_graph(
    step_mode: str, graph: nir.NIRGraph, x_seq: Tensor
) -> None:
    back = sj_nir.import_from_nir(graph, step_mode=step_mode)
    assert len(sj_nir.verify(back, graph, x_seq).compared) == 7
    assert sj_nir.verify(back, graph, {"input_1": x_seq}).ok


def test_a_fault_is_found_where_it_is_and_nowhere_else(
    net: nn.Module, graph: nir.NIRGraph, x_seq: Tensor
) -> None:
    weight: Any = graph.nodes["_6"]
    weight.weight[2] += 0.5
    report = sj_nir.verify(net, graph, x_seq)
    assert report.first is not None and not report.ok
    assert [difference.node for difference in report.differences] == ["_6"]
    assert report.first.kind == "Affine" and report.first.index == (2,)
    assert report.first.net < report.first.graph
    with pytest.raises(sj_nir.VerificationError, match=r"node '_6' \(Affine\) from step") as caught:
        report.raise_if_different()
    assert caught.value.node == "_6"


def test_the_first_step_that_differs_is_reported() -> None:
    net = nn.Sequential(IFNode())
    graph = sj_nir.export_to_nir(net, torch.zeros(1, 1))
    threshold: Any = graph.nodes["_0"]
    threshold.v_threshold[:] = 0.8
    x_seq = torch.tensor([0.3, 0.3, 0.3, 0.3]).reshape(4, 1, 1)  # 0.9 after three steps
    report = sj_nir.verify(net, graph, x_seq)
    assert report.first is not None
    assert (report.first.step, report.first.net, report.first.graph) == (2, 0.0, 1.0)


def test_spikes_may_differ_only_at_the_threshold() -> None:
    net = nn.Sequential(IFNode(v_threshold=1.0 + 2e-6))
    graph = sj_nir.export_to_nir(nn.Sequential(IFNode()), torch.zeros(1, 1))
    x_seq = torch.full((6, 1, 1), 0.5 + 5e-7)
    report = sj_nir.verify(net, graph, x_seq)
    assert report.ok and report.near_threshold > 0
    assert "decided by rounding" in str(report)
    assert not sj_nir.verify(net, graph, x_seq, margin=1e-7).ok


def test_one_step_is_an_example_too(net: nn.Module, graph: nir.NIRGraph, x_seq: Tensor) -> None:
    assert sj_nir.verify(net, graph, x_seq[0]).steps == 1


class Branches(nn.Module):
    """Two inputs, two outputs, one layer called twice."""

    def __init__(self) -> None:
        super().__init__()
        self.shared = nn.Linear(3, 4)
        self.a = LIFNode(2.0)
        self.b = IFNode()

    def forward(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        u, v = self.shared(y), self.shared(x)
        return self.b(v), self.a(u + v)


def test_several_inputs_outputs_and_calls() -> None:
    torch.manual_seed(1)
    net = Branches()
    x, y = torch.rand(5, 2, 3), torch.rand(5, 2, 3)
    graph = nir.NIRGraph(
        nodes={
            "x": nir.Input(np.array([3])),
            "y": nir.Input(np.array([3])),
            "shared": _affine(net.shared),
            "shared_1": _affine(net.shared),
            "a": nir.LIF(**_full(tau=2e-4, r=1.0, v_leak=0.0, v_threshold=1.0, v_reset=0.0)),
            "b": nir.IF(**_full(r=1e4, v_threshold=1.0, v_reset=0.0)),
            "out_a": nir.Output(np.array([4])),
            "out_b": nir.Output(np.array([4])),
        },
        edges=[
            ("y", "shared"), ("x", "shared_1"), ("shared", "a"), ("shared_1", "a"),
            ("shared_1", "b"), ("a", "out_a"), ("b", "out_b"),
        ],
        type_check=False,
    )  # fmt: skip
    report = sj_nir.verify(net, graph, (x, y), threshold=">=")
    assert [found.node for found in report.differences] == ["out_b", "out_a"]  # by name: swapped
    assert set(report.compared) == {"shared", "shared_1", "a", "b", "out_a", "out_b"}
    graph.nodes["out_b"].metadata = {"sj_nir": {"position": 0}}
    graph.nodes["out_a"].metadata = {"sj_nir": {"position": 1}}
    assert sj_nir.verify(net, graph, [x, y], threshold=">=").ok
    with pytest.raises(ValueError, match="the Inputs x, y, got 1 tensors"):
        sj_nir.verify(net, graph, x)


def _affine(linear: nn.Linear) -> nir.Affine:
    return nir.Affine(linear.weight.detach().numpy(), linear.bias.detach().numpy())


def _full(**values: float) -> dict[str, Any]:
    return {field: np.full(4, value) for field, value in values.items()}


class Deciding(nn.Module):
    """What torch.fx cannot follow."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x) if x.sum() > 0 else self.net(-x)


def test_outputs_only_where_names_tell_nothing(
    net: nn.Module, graph: nir.NIRGraph, x_seq: Tensor
) -> None:
    report = sj_nir.verify(Deciding(net), graph, x_seq)
    assert report.ok and report.compared == ("output",)
    assert "outputs only" in str(report) and "not compared: '_0'" in str(report)
    named = sj_nir.verify(Deciding(net), graph, x_seq, nodes={"_7": "net.7", "_3": "net.0"})
    assert named.compared == ("_7", "output")  # the values of net.0 do not fit node _3


def test_nearness_to_the_threshold_is_told_where_nodes_are_not_compared() -> None:
    graph = sj_nir.export_to_nir(nn.Sequential(IFNode(), nn.Linear(1, 1)), torch.zeros(1, 1))
    net = Deciding(nn.Sequential(IFNode(v_threshold=1.0 + 2e-6), nn.Linear(1, 1)))
    report = sj_nir.verify(net, graph, torch.full((3, 1, 1), 0.5))
    assert not report.ok and "rounding may decide spikes" in str(report)


def test_names_of_other_frameworks_match_up_to_underscores_and_dots() -> None:
    net = nn.Sequential(nn.Linear(4, 4), IFNode())
    graph = sj_nir.export_to_nir(net, torch.zeros(1, 4))
    for old in ("_0", "_1"):
        graph.nodes[old[1:]] = graph.nodes.pop(old)
    graph.edges = [(a.lstrip("_"), b.lstrip("_")) for a, b in graph.edges]
    assert sj_nir.verify(net, graph, torch.rand(4, 2, 4)).compared == ("0", "1", "output")


@pytest.mark.parametrize("module", [IFNode(), layer.SeqToANNContainer(nn.Linear(4, 4))])
def test_a_lone_layer_or_container_is_compared(module: nn.Module) -> None:
    set_step_mode(module, "m")
    graph = sj_nir.export_to_nir(module, torch.rand(3, 2, 4))
    assert len(sj_nir.verify(module, graph, torch.rand(3, 2, 4)).compared) == 2


def test_what_export_takes_apart_is_computed_and_not_compared() -> None:
    net = nn.Sequential(nn.Linear(4, 5), layer.LinearRecurrentContainer(LIFNode(2.0), 5, 5))
    graph = sj_nir.export_to_nir(net, torch.zeros(1, 4))
    report = sj_nir.verify(net, graph, 3 * torch.rand(T, N, 4))
    assert report.ok and "_0" in report.compared
    assert set(report.left_out) == {"_1_rc_x", "_1_rc_y"}


@pytest.mark.parametrize(
    ("example", "error", "text"),
    [
        (torch.zeros(6, 6), ValueError, r"takes \[T, N, 2, 6, 6\] or \[N, 2, 6, 6\], got \[6, 6\]"),
        (torch.zeros(1, 1, 3, 6, 6), ValueError, "'input_1' takes"),
        ([1.0], TypeError, "expected a tensor for 'input_1', got float"),
        ({"x": torch.zeros(1, 2, 6, 6)}, ValueError, "expected input_1, got x"),
    ],
)
def test_examples_that_do_not_fit(
    example: Any, error: type[Exception], text: str, net: nn.Module, graph: nir.NIRGraph
) -> None:
    with pytest.raises(error, match=text):
        sj_nir.verify(net, graph, example)


def test_unknown_nodes_and_modules(net: nn.Module, graph: nir.NIRGraph, x_seq: Tensor) -> None:
    with pytest.raises(ValueError, match="no node 'z' in the graph"):
        sj_nir.verify(net, graph, x_seq, nodes={"z": "0"})
    with pytest.raises(ValueError, match="no module 'z' in the network"):
        sj_nir.verify(net, graph, x_seq, nodes={"_0": "z"})


class Returning(nn.Module):
    def __init__(self, value: Any) -> None:
        super().__init__()
        self.value = value

    def forward(self, x: Tensor) -> Any:
        return self.value


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (None, TypeError, "must return tensors, got NoneType"),
        ((torch.zeros(2), torch.zeros(2)), ValueError, "returns 2 tensors"),
        ({"z": torch.zeros(2)}, ValueError, "returns z, the graph has the Outputs output"),
        (torch.zeros(2, 7), ValueError, r"has shape \(1, 2, 7\)"),
    ],
)
def test_results_that_do_not_fit(value: Any, error: type[Exception], text: str) -> None:
    graph = sj_nir.export_to_nir(IFNode(), torch.rand(2, 4))
    with pytest.raises(error, match=text):
        sj_nir.verify(Returning(value), graph, torch.rand(2, 4))
