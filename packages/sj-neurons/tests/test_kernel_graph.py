"""Programs, their text, and the simplifications that graphs make."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sj_neurons.kernels.graph import OPERATIONS, Graph, Node, Program

KINDS = {"not": "t", "and": "tt", "or": "tt", "where": "tnn"}


@st.composite
def programs(draw: Any) -> Program:
    """Programs of any operations, with any literals."""
    graph = Graph()
    numbers = [graph.input(name) for name in ("x", "v0", "v1", "k0", "p0", "p1")]
    numbers += [graph.literal(draw(st.floats())) for _ in range(draw(st.integers(0, 4)))]
    truths = [graph.op("ge", numbers[0], numbers[1])]
    pools = {"t": truths, "n": numbers}
    for name in draw(st.lists(st.sampled_from(sorted(OPERATIONS)), max_size=12)):
        kind = KINDS.get(name, "n" * OPERATIONS[name])
        index = graph.op(name, *(draw(st.sampled_from(pools[letter])) for letter in kind))
        (truths if graph.nodes[index].is_truth else numbers).append(index)
    return Program.of(graph, draw(st.lists(st.sampled_from(numbers), min_size=3, max_size=3)), 1, 2)


@given(programs())
def test_the_text_is_the_program(program):
    again = Program.from_text(program.text)
    assert again == program and hash(again) == hash(program)
    assert again.text == program.text and again.outputs == program.outputs
    assert (again.states, again.numbers, again.parameters) == (2, 1, 2)
    assert list(map(repr, again.graph())) == list(map(repr, program.nodes))


@given(programs(), st.data())
def test_damaged_text_is_refused_or_another_program(program, data):
    place = data.draw(st.integers(0, len(program.text) - 1))
    letter = data.draw(st.sampled_from("0129 xvkp.n\nq[-"))
    text = program.text[:place] + letter + program.text[place + 1 :]
    try:
        again = Program.from_text(text)
    except ValueError as error:
        assert "kernel program" in str(error)
    else:
        assert again.text == text
        assert len(again.graph()) == len(again.nodes)


def test_programs_are_told_apart_by_their_literals():
    def program(value: float) -> Program:
        graph = Graph()
        return Program.of(graph, [graph.op("mul", graph.input("x"), graph.literal(value))], 0, 0)

    assert program(math.nan) == program(-math.nan) != program(1.5)
    assert program(0.0) != program(-0.0)
    assert "-inf" in program(-math.inf).text


GOOD = ["[[2, 0], 1, 0]", "input x", "input k0", "mul 0 1"]
BAD_LINES = {
    "unknown operation": ("matmul 0 1", "line 4: 'matmul 0 1'"),
    "too few arguments": ("mul 0", "line 4"),
    "too many arguments": ("neg 0 1", "line 4"),
    "later argument": ("mul 0 2", "line 4"),
    "negative argument": ("mul 0 -1", "line 4"),
    "padded argument": ("mul 0 01", "line 4"),
    "spaces": ("mul  0 1", "line 4"),
    "no number": ("literal zero", "line 4: 'literal zero'"),
    "decimal number": ("literal 1.5", "line 4"),
    "endless number": ("literal 0x1p5000", "line 4"),
    "empty": ("", "line 4"),
    "unknown input": ("input y", "line 4: 'input y'"),
    "input beyond its count": ("input k1", "line 4"),
    "padded input": ("input k00", "line 4"),
    "repeated": ("input x", "line 4 repeats"),
    "numbers as truths": ("and 0 1", "line 4"),
    "number as condition": ("where 0 1 1", "line 4"),
    "truth as output": ("lt 0 1", r"outputs \[2, 0\]"),
}


@pytest.mark.parametrize("case", BAD_LINES)
def test_a_line_that_cannot_be_read_is_named(case):
    line, reason = BAD_LINES[case]
    assert Program.from_text("\n".join(GOOD)).outputs == (2, 0)
    with pytest.raises(ValueError, match=f"kernel program.*{reason}"):
        Program.from_text("\n".join([*GOOD[:3], line]))


def test_a_truth_is_no_number():
    text = "\n".join(["[[3], 0, 0]", "input x", "lt 0 0", "literal 0x1.0000000000000p+0"])
    with pytest.raises(ValueError, match="line 5: 'add 1 2'"):
        Program.from_text(text + "\nadd 1 2")
    assert Program.from_text(text + "\nwhere 1 0 2").states == 0


@pytest.mark.parametrize(
    "head",
    [
        "", "[]", "null", "{}", "[[2, 0], 1]", "[[2, 0], 1, 0, 0]", "[2, 1, 0]", "[[], 1, 0]",
        '[["2", 0], 1, 0]', "[[2,0], 1, 0]", "[[2, 0], -1, 0]", "[[-1, 0], 1, 0]",
        "[[2.0, 0], 1, 0]",
        "[[3, 0], 1, 0]", "[[2, 0], true, 0]", "[[2, 0], 1, [0]]",
    ],
)  # fmt: skip
def test_a_head_that_cannot_be_read_is_refused(head):
    with pytest.raises(ValueError, match="kernel program"):
        Program.from_text("\n".join([head, *GOOD[1:]]))


# graphs


def test_equal_nodes_are_one_node():
    graph = Graph()
    x, k = graph.input("x"), graph.input("k0")
    assert graph.op("add", x, k) == graph.op("add", x, k) != graph.op("add", k, x)
    assert graph.literal(math.nan) == graph.literal(math.nan)
    assert graph.literal(0.0) != graph.literal(-0.0)
    assert graph.input("x") == x and len(graph) == 7


def test_what_equals_an_argument_exactly_is_that_argument():
    graph = Graph()
    x, one, minus = graph.input("x"), graph.literal(1.0), graph.literal(-1.0)
    condition = graph.op("lt", x, minus)
    assert graph.op("mul", x, one) == graph.op("mul", one, x) == graph.op("div", x, one) == x
    assert graph.op("where", condition, x, x) == x
    assert graph.op("mul", x, minus) != x and graph.op("div", one, x) != x
    assert graph.op("add", x, graph.literal(0.0)) != x  # -0.0 + 0.0 is 0.0


def test_the_number_of_arguments_is_checked():
    graph = Graph()
    with pytest.raises(ValueError, match="where takes 3 arguments, got 1"):
        graph.op("where", graph.input("x"))


def test_what_is_reached():
    graph = Graph()
    x, v = graph.input("x"), graph.input("v0")
    u = graph.op("sub", x, v)
    spike = graph.op("sign", x)
    slope = graph.op("exp", u)
    fire = graph.op("fire", spike, u, slope)
    graph.op("neg", x)
    assert graph.reached_from([fire]) == [x, v, u, spike, slope, fire]
    assert graph.reached_from([fire], values=True) == [x, spike, fire]
    assert graph.reached_from([slope], until={u}) == [u, slope]


def test_a_program_leaves_out_what_its_outputs_do_not_need():
    graph = Graph()
    x = graph.input("x")
    graph.op("exp", x)
    program = Program.of(graph, [graph.op("neg", x), x], 0, 0)
    assert [node.op for node in program.nodes] == ["input", "neg"] and program.outputs == (1, 0)
    grown = program.graph()
    grown.op("exp", 0)
    assert len(program.nodes) == 2 and Node("exp", (0,)) in list(grown)
    assert program.has_input("x") and program.has_input("v0")
    assert not any(map(program.has_input, ("v1", "k0", "p0", "", "v", "gs", "v00")))
