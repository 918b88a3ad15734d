from __future__ import annotations

import itertools

import nir
import numpy as np
import pytest
import torch

import sj_nir
from sj_nir.nesting import flattened


def linear(factor: float) -> nir.Linear:
    return nir.Linear(weight=np.eye(2) * factor)


def nest(edges: str, shape=(2,), **nodes: nir.NIRNode) -> nir.NIRGraph:
    """A graph from "a-b b-c": i* are Inputs, o* Outputs, the rest is given."""
    found = [tuple(edge.split("-")) for edge in edges.split()]
    ends = dict.fromkeys(name for edge in found for name in edge if name[0] in "io")
    for name in ends:
        kind = nir.Input if name[0] == "i" else nir.Output
        nodes.setdefault(name, kind(np.array(shape)))
    return nir.NIRGraph(nodes, found, type_check=False)


def run(graph: nir.NIRGraph, *inputs: list[float]) -> torch.Tensor:
    net = sj_nir.import_from_nir(graph)
    return net(*(torch.tensor([values]) for values in inputs))[0]


def test_nodes_are_named_by_path():
    inner = nest("i-x x-o", x=linear(2.0))
    outer = nest("i-sub sub-o", sub=inner)
    net = sj_nir.import_from_nir(nest("i-a a-top top-b b-o", a=linear(3.0), top=outer, b=linear(1)))
    out, state = net(torch.tensor([[1.0, 2.0]]))
    assert out.tolist() == [[6.0, 12.0]]
    assert list(state) == ["i", "a", "top/sub/x", "b", "o"]
    assert [name for name, _ in net.named_children()] == ["a", "top_sub_x", "b"]


def test_the_order_of_storage_does_not_matter():
    nodes = {"z": nest("i-x x-o", x=linear(2.0)), "a": linear(3.0)}
    edges = ["i-z", "z-a", "a-o"]
    for order in itertools.permutations(edges):
        for names in (nodes, dict(reversed(nodes.items()))):
            assert run(nest(" ".join(order), **names), [1.0, 2.0]).tolist() == [[6.0, 12.0]]


def test_values_that_pass_a_nested_graph_unchanged_add_up():
    inner = nest("i-o")
    assert run(nest("i-sub sub-x i-x x-o", sub=inner, x=linear(1.0)), [1.0, 2.0]).tolist() == [
        [2.0, 4.0]
    ]


def test_several_edges_into_and_out_of_a_nested_graph_add_up():
    inner = nest("i-x i-y x-o y-o i-o", x=linear(2.0), y=linear(4.0))
    graph = nest("i-a i-sub a-sub sub-o", a=linear(10.0), sub=inner)
    assert run(graph, [1.0, 0.0]).tolist() == [[77.0, 0.0]]


def test_ports_choose_between_several_inputs():
    inner = nest("i1-x i2-y x-o y-o", x=linear(2.0), y=linear(4.0))
    graph = nest("ia-sub.i1 ib-sub.i2 sub.o-o", sub=inner)
    assert run(graph, [1.0, 1.0], [10.0, 0.0]).tolist() == [[42.0, 2.0]]
    with pytest.raises(sj_nir.NIRGraphError, match=r"node 'sub': .*'sub\.i1' or 'sub\.i2'"):
        flattened(nest("ia-sub sub-o", sub=inner))


def test_nested_graphs_survive_the_file(tmp_path):
    graph = nest("i-sub sub-o", sub=nest("i-x x-o", x=linear(2.0)))
    sj_nir.write_graph(tmp_path / "x.nir", graph)
    assert run(sj_nir.read_graph(tmp_path / "x.nir"), [1.0, 2.0]).tolist() == [[2.0, 4.0]]


def test_gates_that_state_another_shape_are_named():
    inner = nest("i-x x-o", shape=(3,), x=linear(2.0))
    with pytest.raises(
        sj_nir.NIRGraphError, match=r"'sub/i', field 'shape': says \(3,\), but gets"
    ):
        run(nest("i-sub sub-o", sub=inner), [1.0, 2.0])


def test_bad_wiring_within_is_named_by_path():
    inner = nest("i-x x-gone x-o", x=linear(2.0))
    with pytest.raises(sj_nir.NIRGraphError, match="node 'sub': edge 'x' -> 'gone'"):
        flattened(nest("i-sub sub-o", sub=inner))
    inner = nest("i-x x-o", x=linear(2.0), y=linear(1.0))
    with pytest.raises(sj_nir.NIRGraphError, match="node 'sub/y': nothing feeds it"):
        flattened(nest("i-sub sub-o", sub=inner))


def test_a_loop_without_anything_is_refused():
    with pytest.raises(sj_nir.NIRGraphError, match=r"loop 'sub/.' -> 'sub/.' -> 'sub/.'"):
        flattened(nest("i-sub sub-sub sub-x x-o", sub=nest("i-o"), x=linear(1.0)))


def test_a_graph_that_contains_itself_is_refused():
    inner = nest("i-x x-o", x=linear(1.0))
    inner.nodes["x"] = inner
    with pytest.raises(sj_nir.NIRGraphError, match="nested more than 50 deep"):
        flattened(nest("i-sub sub-o", sub=inner))


def test_names_with_the_separator_are_refused():
    graph = nest("i-x x-o", x=linear(1.0))
    graph.nodes["a/b"] = graph.nodes.pop("x")
    graph.edges[:] = [("i", "a/b"), ("a/b", "o")]
    with pytest.raises(sj_nir.NIRGraphError, match="node 'a/b': a name must not contain '/'"):
        flattened(graph)


def in_series(count: int, *outs: str) -> nir.NIRGraph:
    """Nested graphs that pass their Input on to each of `outs`, one behind the other."""
    nodes: dict[str, nir.NIRNode] = {
        f"s{k}": nest(" ".join(f"i-{out}" for out in outs)) for k in range(count)
    }
    edges = [
        (f"s{k}.{out}", f"s{k + 1}" if k + 1 < count else "o") for k in range(count) for out in outs
    ]
    nodes |= {"i": nir.Input(np.array([2])), "o": nir.Output(np.array([2]))}
    return nir.NIRGraph(nodes, [("i", "s0"), *edges], type_check=False)


def test_a_long_series_of_nested_graphs_passes_values_on():
    graph = in_series(600, "o")
    assert run(graph, [1.0, 2.0]).tolist() == [[1.0, 2.0]]
    assert sj_nir.interpret(graph, np.ones((1, 1, 2))).out.tolist() == [[[1.0, 1.0]]]


def test_values_that_are_passed_on_twice_count_twice():
    graph = in_series(3, "oa", "ob")
    assert run(graph, [1.0, 2.0]).tolist() == [[8.0, 16.0]]
    assert sj_nir.interpret(graph, np.ones((1, 1, 2))).out.tolist() == [[[8.0, 8.0]]]


def test_edges_may_not_multiply_without_bound():
    graph = in_series(60, "oa", "ob")
    with pytest.raises(
        sj_nir.NIRGraphError, match=r"'s\d+/i': edges .* multiply to more than 65536"
    ):
        sj_nir.import_from_nir(graph)
    with pytest.raises(sj_nir.NIRGraphError, match=r"'s\d+/\w+': edges .* more than 65536"):
        sj_nir.interpret(graph, np.ones((1, 1, 2)))


@pytest.mark.parametrize("shape", [np.uint64(2), np.array([np.inf]), np.array(2)])
def test_a_shape_of_a_nested_graph_that_is_no_list_is_named(shape):
    inner = nest("i-x x-o", x=linear(1.0))
    inner.nodes["o"].output_type["output"] = shape
    with pytest.raises(sj_nir.NIRGraphError, match="'sub/o', field 'shape': expected integers"):
        sj_nir.import_from_nir(nest("i-sub sub-o", sub=inner))
