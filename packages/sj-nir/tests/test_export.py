from __future__ import annotations

import itertools
import logging
from pathlib import Path

import nir
import numpy as np
import pytest
import torch
from torch import Tensor, nn

import sj_layers as layer
import sj_nir
from sj_neurons import functional
from sj_neurons.base import extract_memories
from sj_neurons.neuron import IFNode, LIFNode, ParametricLIFNode


def tutorial_net(step_mode: str = "s") -> nn.Module:
    net = nn.Sequential(
        layer.Conv2d(3, 4, 3, 1, 1),
        IFNode(),
        layer.AvgPool2d((2, 2)),
        layer.Flatten(),
        nn.Linear(64, 10),
        ParametricLIFNode(10.0, decay_input=False, v_reset=None),
    )
    functional.set_step_mode(net, step_mode)
    return net


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Linear(4, 4)
        self.blk = nn.Sequential(nn.Linear(4, 4), IFNode())
        self.n = LIFNode()

    def forward(self, x: Tensor) -> Tensor:
        y = self.a(x)
        return self.n(self.blk(y) + y)


def shapes(graph: nir.NIRGraph) -> dict[str, tuple[int, ...]]:
    return {name: tuple(*node.output_type.values()) for name, node in graph.nodes.items()}


@pytest.mark.parametrize(("step_mode", "lead"), [("s", (8,)), ("m", (5, 8))])
def test_graph_has_one_node_per_module_and_neither_batch_nor_time(step_mode, lead):
    graph = sj_nir.export_to_nir(tutorial_net(step_mode), torch.rand(*lead, 3, 8, 8))
    assert {name: type(node).__name__ for name, node in graph.nodes.items()} == {
        "input_1": "Input",
        "_0": "Conv2d",
        "_1": "IF",
        "_2": "AvgPool2d",
        "_3": "Flatten",
        "_4": "Affine",
        "_5": "LIF",
        "output": "Output",
    }
    names = list(graph.nodes)
    assert graph.edges == list(itertools.pairwise(names))
    assert shapes(graph) == {
        "input_1": (3, 8, 8),
        "_0": (4, 8, 8),
        "_1": (4, 8, 8),
        "_2": (4, 4, 4),
        "_3": (64,),
        "_4": (10,),
        "_5": (10,),
        "output": (10,),
    }
    assert tuple(graph.input_type["input_1"]) == (3, 8, 8)
    assert tuple(graph.output_type["output"]) == (10,)


def test_classes_give_attribute_names_and_additions_give_two_edges():
    graph = sj_nir.export_to_nir(Residual(), torch.rand(2, 4))
    assert list(graph.nodes) == ["x", "a", "blk_0", "blk_1", "n", "output"]
    assert [edge for edge in graph.edges if edge[1] == "n"] == [("blk_1", "n"), ("a", "n")]


def test_a_lone_neuron_can_be_exported():
    graph = sj_nir.export_to_nir(IFNode(), torch.rand(2, 4))
    assert list(graph.nodes) == ["input_1", "_0", "output"]


def test_the_nir_library_agrees_with_the_exported_types():
    graph = sj_nir.export_to_nir(tutorial_net(), torch.rand(1, 3, 8, 8))
    again = nir.NIRGraph(graph.nodes, graph.edges)  # runs its type check
    assert shapes(again) == shapes(graph)


def test_the_network_stays_as_it_was():
    net = nn.Sequential(
        layer.Conv2d(1, 2, 3), layer.BatchNorm2d(2), LIFNode(store_v_seq=True), layer.Dropout()
    )
    functional.set_step_mode(net, "m")
    net(torch.rand(3, 7, 1, 5, 5))
    seen = []
    net[0].register_forward_hook(lambda *args: seen.append(args))
    memories, buffers = extract_memories(net), [b.clone() for b in net.buffers()]
    v_seq, weight, example = net[2].v_seq, net[0].weight, torch.rand(2, 1, 1, 5, 5)
    random = torch.get_rng_state()
    net[0].eval()
    sj_nir.export_to_nir(net, example)
    assert all(a is b for a, b in zip(extract_memories(net), memories, strict=True))
    assert all(torch.equal(a, b) for a, b in zip(net.buffers(), buffers, strict=True))
    assert [m.training for m in net] == [False, True, True, True] and net.training
    assert net[2].v_seq is v_seq and net[0].weight is weight and not seen
    assert torch.equal(torch.get_rng_state(), random)


def test_the_graph_owns_its_numbers():
    net = nn.Sequential(nn.Linear(2, 2), IFNode())
    graph = sj_nir.export_to_nir(net, torch.rand(1, 2))
    before = graph.nodes["_0"].weight.copy()
    with torch.no_grad():
        net[0].weight.add_(1)
    np.testing.assert_array_equal(graph.nodes["_0"].weight, before)


def test_dropout_and_identity_leave_no_trace():
    net = nn.Sequential(nn.Dropout(), nn.Linear(3, 3), layer.Dropout(), nn.Identity(), IFNode())
    graph = sj_nir.export_to_nir(net, torch.rand(1, 3))
    assert graph.edges == [("input_1", "_1"), ("_1", "_4"), ("_4", "output")]


def test_batch_norm_is_merged():
    net = nn.Sequential(layer.Conv2d(1, 2, 3), layer.BatchNorm2d(2), IFNode())
    graph = sj_nir.export_to_nir(net, torch.rand(1, 1, 5, 5))
    assert list(graph.nodes) == ["input_1", "_0", "_2", "output"]


class Functional(nn.Module):
    def __init__(self, reshape) -> None:
        super().__init__()
        self.n, self.reshape = IFNode(), reshape

    def forward(self, x: Tensor) -> Tensor:
        return self.n(self.reshape(x))


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
def test_functional_flattening(reshape, dims):
    graph = sj_nir.export_to_nir(Functional(reshape), torch.rand(5, 2, 3, 4))
    (flatten,) = [node for node in graph.nodes.values() if isinstance(node, nir.Flatten)]
    assert (flatten.start_dim, flatten.end_dim) == dims


@pytest.mark.parametrize(
    ("operation", "message"),
    [
        (lambda x: x.mean(1), "call_method mean"),
        (lambda x: x.flatten(0), "changes the batch axis"),
        (lambda x: x.reshape(x.shape[0], 8, 3), r"\(2, 3, 4\) into \(8, 3\)"),
        (lambda x: torch.add(x, x.contiguous(), alpha=2), "unscaled"),
        (lambda x: x + 1, "adds only outputs of nodes"),
        (lambda x: x + x, "to itself"),
        (lambda x: x + x.contiguous()[:1], "call_function getitem"),
    ],
)
def test_what_nir_cannot_say_is_refused(operation, message):
    with pytest.raises(sj_nir.NotSupportedError, match=message):
        sj_nir.export_to_nir(Functional(operation), torch.rand(5, 2, 3, 4))


class MyLIF(LIFNode):
    pass


def test_all_unsupported_modules_are_named_at_once():
    net = nn.Sequential(
        nn.Sequential(nn.Conv2d(1, 2, 3), nn.MaxPool2d(2)), nn.ReLU(), MyLIF(), nn.BatchNorm2d(2)
    )
    with pytest.raises(sj_nir.NotSupportedError) as caught:
        sj_nir.export_to_nir(net, torch.rand(1, 1, 6, 6))
    lines = str(caught.value).splitlines()[1:]
    assert sorted(line.split(": ")[0].strip() for line in lines) == [
        "0.1 (MaxPool2d)",
        "1 (ReLU)",
        "2 (MyLIF)",
        "3 (BatchNorm2d)",
    ]
    assert "use AvgPool2d" in str(caught.value) and "subclass of LIFNode" in str(caught.value)


class Shared(nn.Module):
    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.shared = module

    def forward(self, x: Tensor) -> Tensor:
        return self.shared(self.shared(x))


def test_a_layer_used_twice_gives_two_nodes_but_a_neuron_is_refused():
    graph = sj_nir.export_to_nir(Shared(nn.Linear(3, 3)), torch.rand(1, 3))
    assert list(graph.nodes) == ["x", "shared", "shared_1", "output"]
    with pytest.raises(sj_nir.NotSupportedError, match=r"shared \(IFNode\).*more than once"):
        sj_nir.export_to_nir(Shared(IFNode()), torch.rand(1, 3))


class Several(nn.Module):
    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return x + y


class Pair(nn.Module):
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x, x


class Scaled(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(3))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.gain


class Nothing(nn.Module):
    def forward(self) -> Tensor:
        return torch.zeros(1)


@pytest.mark.parametrize(
    ("net", "message"),
    [
        (Several(), "inputs x, y"),
        (Pair(), "several outputs"),
        (Scaled(), "parameter or buffer"),
        (Nothing(), "takes no input"),
    ],
)
def test_other_numbers_of_inputs_and_outputs_are_refused(net, message):
    with pytest.raises(sj_nir.NotSupportedError, match=message):
        sj_nir.export_to_nir(net, torch.rand(2, 3))


@pytest.mark.parametrize("dt", [0, -1e-4, float("nan"), float("inf")])
def test_dt_must_be_positive(dt):
    with pytest.raises(ValueError, match="dt must be a positive number"):
        sj_nir.export_to_nir(IFNode(), torch.rand(1, 1), dt=dt)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((IFNode(), torch.rand(1, 1), None, "1e-4"), "dt must be a number"),
        ((IFNode(), [1.0]), "example_input must be a tensor"),
        ((torch.rand, torch.rand(1, 1)), "net must be a torch.nn.Module"),
    ],
)
def test_arguments_of_the_wrong_kind(arguments, message):
    with pytest.raises(TypeError, match=message):
        sj_nir.export_to_nir(*arguments)


def test_an_example_without_time_axis_is_refused():
    with pytest.raises(ValueError, match=r"\[T, N, \*\], got shape \(2, 3\)"):
        sj_nir.export_to_nir(IFNode(step_mode="m"), torch.rand(2, 3))


def test_a_network_that_cannot_be_copied_is_named():
    net = nn.Sequential(IFNode())
    net.handle = (i for i in range(3))
    with pytest.raises(sj_nir.ExportError, match="Sequential cannot be copied"):
        sj_nir.export_to_nir(net, torch.rand(1, 3))


def test_a_soft_reset_is_logged(caplog):
    with caplog.at_level(logging.WARNING):
        sj_nir.export_to_nir(nn.Sequential(IFNode(v_reset=None)), torch.rand(1, 3))
    assert "'_0': the soft reset is kept in metadata only" in caplog.text


def test_the_file_is_written_under_any_suffix(tmp_path: Path):
    path = tmp_path / "net.anything"
    graph = sj_nir.export_to_nir(tutorial_net(), torch.rand(1, 3, 8, 8), path)
    assert [file.name for file in tmp_path.iterdir()] == ["net.anything"]
    assert set(nir.read(path).edges) == set(graph.edges)


def test_nothing_is_written_when_the_export_fails(tmp_path: Path):
    with pytest.raises(sj_nir.NotSupportedError):
        sj_nir.export_to_nir(nn.ReLU(), torch.rand(1, 3), tmp_path / "net.nir")
    assert not list(tmp_path.iterdir())
