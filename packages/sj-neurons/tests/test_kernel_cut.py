"""What is kept of a step is enough for its adjoint, and the least that is."""

from __future__ import annotations

import itertools
import random
import time
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from sj_neurons import neuron, surrogate
from sj_neurons.kernels.cut import smallest_cut
from sj_neurons.kernels.differentiate import Adjoint, differentiate
from sj_neurons.kernels.graph import OPERATIONS, Graph, Program
from sj_neurons.kernels.plan import plan
from sj_neurons.kernels.trace import trace

COMMON = ["add", "sub", "mul", "where", "maximum", "div", "sigmoid", "fire"]
KINDS = {"not": "t", "and": "tt", "or": "tt", "where": "tnn"}
_NAMES = {"not": "logical_not", "and": "logical_and", "or": "logical_or"}


def program_from(seed: int) -> Program:
    """A program of a spike and two states, of all operations."""
    draw = random.Random(seed)
    graph = Graph()
    numbers = [graph.literal(0.5), graph.literal(2.0)]
    numbers += [graph.input(name) for name in ("k0", "p0", "v0", "v1", "x")]
    truths = [graph.op("lt", numbers[-1], numbers[-2])]
    pools = {"t": truths, "n": numbers}
    for _ in range(draw.randint(3, 12)):
        name = draw.choice([*OPERATIONS, *COMMON, *COMMON])
        kinds = KINDS.get(name, "n" * OPERATIONS[name])
        index = graph.op(name, *(draw.choice(pools[kind][-6:]) for kind in kinds))
        (truths if graph.nodes[index].is_truth else numbers).append(index)
    return Program.of(graph, numbers[:-4:-1], 1, 1)


def evaluated(graph: Graph, wanted: list[int], values: dict[Any, Tensor]) -> list[Tensor]:
    """The nodes `wanted`, from values of inputs by name and of nodes by number; no others."""
    known = {index: value for index, value in values.items() if isinstance(index, int)}
    for index in graph.reached_from(wanted, values=True, until=known):
        node = graph.nodes[index]
        if index in known:
            continue
        if node.op == "literal":
            known[index] = torch.tensor(node.value, dtype=torch.float64)
        elif node.op == "input":
            known[index] = values[node.value]
        elif node.op == "fire":
            known[index] = known[node.args[0]]
        else:
            function = getattr(torch, _NAMES.get(node.op, node.op))
            known[index] = function(*(known[i] for i in node.args))
    return [known[index] for index in wanted]


@given(st.integers(0, 10**9))
def test_what_is_kept_is_enough_for_the_adjoint(seed):
    adjoint = differentiate(program_from(seed))
    kept, again = smallest_cut(adjoint)
    generator = torch.Generator().manual_seed(seed)
    names = ("x", "v0", "v1", "k0", "p0", "gs", "g0", "g1")
    given_ = {name: torch.randn(5, generator=generator, dtype=torch.float64) for name in names}
    expected = evaluated(adjoint.graph, adjoint.outputs, given_)
    tile = dict(zip(kept, evaluated(adjoint.graph, list(kept), given_), strict=True))
    backward = {name: given_[name] for name in ("k0", "p0", "gs", "g0", "g1")}
    backward |= {"x": given_["x"]} if again else {}
    found = evaluated(adjoint.graph, adjoint.outputs, backward | tile)
    for ours, reference in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, reference, rtol=0, atol=0, equal_nan=True)


def separates(adjoint: Adjoint, kept: tuple[int, ...], x: bool) -> bool:
    """Whether the adjoint follows from the nodes `kept` and, if so said, from x."""
    reached = adjoint.graph.reached_from(adjoint.needed(), values=True, until=kept)
    inputs = {str(adjoint.graph.nodes[i].value) for i in reached if i not in kept}
    return not inputs & {"v0", "v1", *(() if x else ("x",))}


@given(st.integers(0, 10**9))
def test_nothing_less_would_do(seed):
    adjoint = differentiate(program_from(seed))
    kept, again = smallest_cut(adjoint)
    nodes = adjoint.graph.nodes
    assert separates(adjoint, kept, again)
    assert not any(nodes[i].is_truth or nodes[i].op == "literal" for i in kept)
    assert not any(str(nodes[i].value)[0] in "xkp" for i in kept if nodes[i].op == "input")
    for size in range(len(kept) + 1):
        for other in itertools.combinations(range(adjoint.primal), size):
            if any(nodes[i].is_truth or nodes[i].value == "x" for i in other):
                continue
            assert size == len(kept) or not separates(adjoint, other, True)
            assert not again or not separates(adjoint, other, False)


RESETS = [
    {"v_reset": reset, "detach_reset": detach}
    for reset in (0.0, -0.2, None)
    for detach in (False, True)
]


@pytest.mark.parametrize("arguments", RESETS)
def test_threshold_neurons_keep_one_number_and_do_not_read_x_again(arguments):
    for function in (surrogate.Sigmoid(), surrogate.ATan(), surrogate.PiecewiseQuadratic()):
        arguments = arguments | {"surrogate_function": function}
        nodes = (
            neuron.IFNode(**arguments),
            neuron.LIFNode(3.0, **arguments),
            neuron.LIFNode(3.0, False, **arguments),
            neuron.LIFNode(v_threshold=torch.ones(3), **arguments),
        )
        for node in nodes:
            made = plan(trace(node).program.text)
            assert len(made.kept) == 1 and not made.reads_input_again
            assert made.has_gradient


SIZES = {
    "PLIF": (neuron.ParametricLIFNode(), 1, True),
    "KLIF": (neuron.KLIFNode(), 1, False),
    "QIF": (neuron.QIFNode(), 1, True),
    "EIF": (neuron.EIFNode(), 1, True),
    "Izhikevich": (neuron.IzhikevichNode(a=0.3, b=0.2), 2, False),
    "CUBALIF": (neuron.CUBALIFNode(), 1, False),
    "RAF": (neuron.RAFNode(), 1, False),
}


@pytest.mark.parametrize("name", SIZES)
def test_how_much_the_other_neurons_keep(name):
    node, size, again = SIZES[name]
    made = plan(trace(node).program.text)
    assert (len(made.kept), made.reads_input_again) == (size, again)


def test_exponentials_are_kept_where_room_is_cheap():
    made = plan(trace(neuron.EIFNode()).program.text)
    kept = made.sparing().kept
    assert "exp" in {made.graph.nodes[i].op for i in kept}
    assert "exp" not in {made.graph.nodes[i].op for i in made.kept}
    assert separates(made.adjoint, kept, made.sparing().reads_input_again)


def test_a_surrogate_that_only_the_adjoint_needs_is_not_kept():
    made = plan(trace(neuron.IFNode(surrogate_function=surrogate.Sigmoid())).program.text)
    assert made.sparing() is made


def test_without_a_gradient_nothing_is_kept():
    made = plan("[[1, 2], 0, 0]\ninput x\nsign 0\nround 0")
    assert made.kept == () and not made.reads_input_again and not made.has_gradient


def test_plans_of_one_text_are_one_plan():
    one = plan(trace(neuron.LIFNode(2.0)).program.text)
    assert plan(trace(neuron.LIFNode(3.0)).program.text) is one
    assert set(one.given().values()) == {"x", "v0", "k0", "k1", "k2", "gs", "g0"}


def test_wide_and_deep_steps_are_cut_in_time():
    graph = Graph()
    x, states = graph.input("x"), [graph.input(f"v{i}") for i in range(20)]
    for _ in range(100):
        states = [graph.op("mul", graph.op("sigmoid", v), x) for v in states]
    program = Program.of(graph, [states[0], *states], 0, 0)
    assert len(program.nodes) > 4000
    start = time.process_time()
    kept, again = smallest_cut(differentiate(program))
    assert len(kept) == 20 and again
    assert time.process_time() - start < 5
