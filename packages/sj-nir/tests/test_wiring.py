from __future__ import annotations

import nir
import numpy as np
import pytest

import sj_nir
from sj_nir.wiring import check_edges


def graph(edges: str, **nodes: nir.NIRNode) -> nir.NIRGraph:
    """A graph of one-number nodes from "a-b b-c": i* are inputs, o* outputs, l* layers."""
    found = [tuple(edge.split("-")) for edge in edges.split()]
    kinds = {"i": lambda: nir.Input(np.array([1])), "o": lambda: nir.Output(np.array([1]))}
    names = dict.fromkeys(name for edge in found for name in edge if name[0] in "iol")
    made = {
        name: kinds.get(name[0], lambda: nir.Linear(weight=np.ones((1, 1))))() for name in names
    }
    return nir.NIRGraph({**made, **nodes}, found, type_check=False)


@pytest.mark.parametrize(
    ("edges", "message"),
    [
        ("i-l l-o l-x", "edge 'l' -> 'x': there is no node 'x'; the nodes are 'i', 'l', 'o'"),
        ("i-l x-l l-o", "edge 'x' -> 'l': there is no node 'x'"),
        ("i-l l-o l-o", "edge 'l' -> 'o' is given more than once"),
        ("i-l i-i l-o", "node 'i': an Input cannot be the target"),
        ("i-l l-o o-l", "node 'o': an Output cannot be the source"),
        ("i-l l-o l2-o", "node 'l2': nothing feeds it"),
        ("i-l l-o i-l2", "node 'l2': it feeds nothing"),
        ("i-l", "no Output"),
        ("l-o", "no Input"),
    ],
)
def test_bad_wiring_is_named(edges, message):
    with pytest.raises(sj_nir.NIRGraphError, match=message):
        check_edges(graph(edges))


def test_a_nested_graph_is_named_too():
    with pytest.raises(sj_nir.NIRGraphError, match="node 'sub': edge 'l' -> 'x': there is no node"):
        check_edges(graph("i-l l-x"), "sub")
    with pytest.raises(sj_nir.NIRGraphError, match="node 'sub/l2': nothing feeds it"):
        check_edges(graph("i-l l-o l2-o"), "sub")


def test_an_unused_node_is_named():
    with pytest.raises(sj_nir.NIRGraphError, match="node 'n': nothing feeds it"):
        check_edges(graph("i-l l-o", n=nir.Linear(weight=np.ones((1, 1)))))


def test_long_lists_of_nodes_are_cut():
    chain = " ".join(f"l{i}-l{i + 1}" for i in range(20))
    with pytest.raises(sj_nir.NIRGraphError, match=r"'l10', \.\.\.$"):
        check_edges(graph(f"i-l0 {chain} l20-o l20-x"))
