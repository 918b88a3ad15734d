from __future__ import annotations

import itertools
import logging
from pathlib import Path

import nir
import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import prune
from torch.nn.utils.parametrizations import weight_norm
from torch.nn.utils.parametrize import remove_parametrizations

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


def test_pruned_weights_are_exported_as_they_act():
    net = nn.Sequential(nn.Linear(6, 4), nn.BatchNorm1d(4).eval(), IFNode())
    prune.random_unstructured(net[0], "weight", 0.5)
    original = net[0].weight_orig
    x = 3 * torch.rand(5, 6)
    back = sj_nir.import_from_nir(sj_nir.export_to_nir(net, x))
    torch.testing.assert_close(back(x)[0], net(x), rtol=0, atol=0)
    assert net[0].weight_orig is original


def test_parametrized_layers_are_told_from_subclasses():
    net = nn.Sequential(weight_norm(nn.Linear(3, 3)))
    with pytest.raises(sj_nir.NotSupportedError, match="remove_parametrizations"):
        sj_nir.export_to_nir(net, torch.rand(2, 3))
    remove_parametrizations(net[0], "weight")
    assert sj_nir.export_to_nir(net, torch.rand(2, 3)).nodes["_0"].weight.shape == (3, 3)


def test_batch_norm_is_merged():
    net = nn.Sequential(layer.Conv2d(1, 2, 3), layer.BatchNorm2d(2), IFNode())
    graph = sj_nir.export_to_nir(net, torch.rand(1, 1, 5, 5))
    assert list(graph.nodes) == ["input_1", "_0", "_2", "output"]


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
    net = Shared(nn.Linear(3, 3))
    graph = sj_nir.export_to_nir(net, torch.rand(1, 3))
    assert list(graph.nodes) == ["x", "shared", "shared_1", "output"]
    back, x = sj_nir.import_from_nir(graph), torch.rand(4, 3)
    assert len(list(back.parameters())) == 2 and torch.equal(back(x)[0], net(x))
    assert list(sj_nir.export_to_nir(back, x).nodes) == list(graph.nodes)
    with pytest.raises(sj_nir.NotSupportedError, match=r"shared \(IFNode\).*more than once"):
        sj_nir.export_to_nir(Shared(IFNode()), torch.rand(1, 3))


class Sum(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc, self.n = nn.Linear(3, 3), IFNode()

    def forward(self, y: Tensor, x: Tensor, unused: Tensor | None = None) -> tuple[Tensor, ...]:
        spike = self.n(self.fc(x) + y)
        return spike, x


@pytest.mark.parametrize("by_name", [False, True])
def test_several_inputs_and_outputs(by_name, tmp_path):
    net, x, y = Sum(), torch.rand(2, 3), torch.rand(2, 3) * 2
    example = {"x": x, "y": y} if by_name else (y, x)
    graph = sj_nir.export_to_nir(net, example, tmp_path / "x.nir")
    assert list(graph.nodes) == ["y", "x", "fc", "n", "output_0", "output_1"]
    assert list(graph.input_type) == ["y", "x"]
    back = sj_nir.import_from_nir(tmp_path / "x.nir")
    assert back.input_names == ("y", "x") and back.output_names == ("output_0", "output_1")
    (spike, same), _ = back(y, x)
    assert torch.equal(spike, net(y, x)[0]) and torch.equal(same, x)


class Named(nn.Module):
    def __init__(self, keys: tuple[object, object] = ("spike", "current")) -> None:
        super().__init__()
        self.fc, self.n, self.keys = nn.Linear(3, 2), IFNode(), keys

    def forward(self, x: Tensor) -> dict[object, Tensor]:
        current = self.fc(x)
        return {self.keys[0]: self.n(current), self.keys[1]: current}


def test_keys_of_a_returned_dict_name_the_outputs():
    graph = sj_nir.export_to_nir(Named(), torch.rand(2, 3))
    assert list(graph.output_type) == ["spike", "current"]
    x = torch.rand(2, 3)
    out, _ = sj_nir.import_from_nir(graph)({"x": x})
    assert list(out) == ["spike", "current"]
    with pytest.raises(sj_nir.NotSupportedError, match="so use str"):
        sj_nir.export_to_nir(Named(("spike", 1)), x)


class Returns(nn.Module):
    def __init__(self, made) -> None:
        super().__init__()
        self.made = made

    def forward(self, x: Tensor) -> object:
        return self.made(x)


class Nothing(nn.Module):
    def forward(self) -> Tensor:
        return torch.zeros(1)


@pytest.mark.parametrize(
    ("net", "message"),
    [
        (Returns(lambda x: (x.clone(), ())[1]), "returns nothing"),
        (Returns(lambda x: (x, None)), "expected a tensor, or a tuple"),
        (Returns(lambda x: [(x, x)]), "expected a tensor, or a tuple"),
        (Returns(lambda x: torch.ones(2, 3)), "uses none of its inputs"),
        (Nothing(), "takes no input"),
    ],
)
def test_other_signatures_are_refused(net, message):
    with pytest.raises(sj_nir.NotSupportedError, match=message):
        sj_nir.export_to_nir(net, torch.rand(2, 3))


def test_an_input_may_be_returned():
    graph = sj_nir.export_to_nir(Returns(lambda x: [x]), torch.rand(2, 3))
    assert graph.edges == [("x", "output")]


@pytest.mark.parametrize(
    ("example", "message"),
    [
        (torch.rand(2, 3), r"has y \(1 tensors\); forward takes y, x, unused"),
        ({"x": torch.rand(2, 3)}, r"has x \(1 tensors\)"),
        ({"y": torch.rand(2, 3), "x": torch.rand(2, 3), "z": torch.rand(2, 3)}, "has y, x, z"),
        ([torch.rand(2, 3)] * 4, r"\(4 tensors\)"),
        ([torch.rand(2, 3), torch.rand(1, 3)], r"the inputs differ in \[N\]"),
    ],
)
def test_examples_must_fit_the_signature(example, message):
    with pytest.raises(ValueError, match=message):
        sj_nir.export_to_nir(Sum(), example)


@pytest.mark.parametrize("dt", [0, -1e-4, float("nan"), float("inf")])
def test_dt_must_be_positive(dt):
    with pytest.raises(ValueError, match="dt must be a positive number"):
        sj_nir.export_to_nir(IFNode(), torch.rand(1, 1), dt=dt)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((IFNode(), torch.rand(1, 1), None, "1e-4"), "dt must be a number"),
        ((IFNode(), [1.0]), "example_input must be a tensor"),
        ((IFNode(), 1.0), "example_input must be a tensor .*or several, got float"),
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
