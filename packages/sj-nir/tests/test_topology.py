from __future__ import annotations

import itertools

import nir
import numpy as np
import pytest

import sj_nir
from sj_nir.topology import analyse


def graph(edges: str, **nodes: nir.NIRNode) -> nir.NIRGraph:
    """A graph of one-number nodes from "a-b b-c": i* are inputs, o* outputs, n* neurons."""
    found = [tuple(edge.split("-")) for edge in edges.split()]
    kinds = {
        "i": lambda: nir.Input(np.array([1])),
        "o": lambda: nir.Output(np.array([1])),
        "n": lambda: nir.IF(r=np.full(1, 1e4), v_threshold=np.ones(1)),
        "d": lambda: nir.Delay(np.full(1, 1e-3)),
    }
    names = dict.fromkeys(name for edge in found for name in edge if name[0] in "ionld")
    made = {
        name: kinds.get(name[0], lambda: nir.Linear(weight=np.ones((1, 1))))() for name in names
    }
    return nir.NIRGraph({**made, **nodes}, found, type_check=False)


def delayed(edges: str, cut: str = "neuron") -> set[str]:
    return {"-".join(edge) for edge in analyse(graph(edges), cut).delayed}


def test_order_follows_the_edges_and_not_the_names():
    order = analyse(graph("l9-o i-l10 l10-l2 l2-l9")).order
    assert order == ("i", "l10", "l2", "l9", "o")


def test_sources_keep_the_order_of_the_edges():
    topology = analyse(graph("i-l1 i-l2 i-l3 l2-o l1-o l3-o"))
    assert topology.sources["o"] == ("l2", "l1", "l3")
    assert topology.units == tuple((name,) for name in topology.order) and not topology.loops


@pytest.mark.parametrize(
    ("edges", "neuron", "current"),
    [
        ("i-n n-n n-o", {"n-n"}, {"n-n"}),
        ("i-n n-l l-n n-o", {"n-l"}, {"l-n"}),
        ("i-n1 n1-l1 l1-n2 n2-l2 l2-n1 n2-o", {"n2-l2"}, {"l2-n1"}),
        ("i-n1 n1-n2 n2-n1 n2-o", {"n2-n1"}, {"n2-n1"}),
        # the delay moves over all ways that lead to the closing edge
        ("i-n1 n1-l1 l1-l3 n1-l2 l2-l3 l3-n1 n1-o", {"n1-l1", "n1-l2"}, {"l3-n1"}),
        # two loops through one neuron
        ("i-n n-l1 l1-n n-l2 l2-n n-o", {"n-l1", "n-l2"}, {"l1-n", "l2-n"}),
    ],
)
def test_where_loops_are_cut(edges, neuron, current):
    assert delayed(edges) == neuron
    assert delayed(edges, "current") == current


def test_the_order_of_the_edges_has_no_say():
    edges = ["i-n1", "i-n2", "n1-n2", "n2-n1", "n1-o"]
    assert {frozenset(delayed(" ".join(some))) for some in itertools.permutations(edges)} == {
        frozenset({"n2-n1"})
    }


def test_a_delay_counts_as_state():
    assert delayed("i-l l-d d-l l-o") == {"d-l"}


def test_delays_may_be_stated():
    made = graph("i-n n-l l-n l-o")
    made.nodes["n"].metadata = {"sj_nir": {"delayed": {"l": 1, "unknown": 1}}}
    assert analyse(made).delayed == {("l", "n")}


def test_only_the_nodes_of_a_loop_form_a_unit():
    topology = analyse(graph("i-l1 l1-n1 n1-l2 l2-n1 n1-l3 l3-n2 n2-n2 n2-o i-l4 l4-l2"))
    assert topology.units == (("i",), ("l1",), ("l4",), ("l2", "n1"), ("l3",), ("n2",), ("o",))
    assert topology.loops == {("l2", "n1"), ("n2",)}


def test_loops_need_state():
    with pytest.raises(sj_nir.NIRGraphError, match="loop 'l1' -> 'l2' -> 'l1' has no node with"):
        analyse(graph("i-l1 l1-l2 l2-l1 l2-o"))
    with pytest.raises(sj_nir.NIRGraphError, match="loop 'l1' -> 'l2' -> 'l1' has no node with"):
        analyse(graph("i-l1 l1-l2 l2-l1 l2-n n-l1 l2-o"))


def test_every_node_needs_an_input():
    with pytest.raises(sj_nir.NIRGraphError, match="node 'l': no path from an Input leads to it"):
        analyse(graph("i-o n-l l-n n-o"))


def test_long_chains_and_loops_are_no_matter():
    chain = [f"n{i}-n{i + 1}" for i in range(3000)]
    topology = analyse(graph(" ".join(["i-n0", *chain, "n3000-n0", "n3000-o"])))
    assert topology.delayed == {("n3000", "n0")}
