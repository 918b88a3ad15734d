"""Expressions as statements of C."""

from __future__ import annotations

import math

import pytest

from sj_neurons.kernels.emit import C_OPERATIONS, Spelling, literal, statements
from sj_neurons.kernels.graph import Graph

PLAIN = Spelling({**C_OPERATIONS, "exp": "exp({0})"})


def test_statements_follow_their_operands_and_comparisons_stand_where_they_are_used():
    graph = Graph()
    x, v = graph.input("x"), graph.input("v0")
    h = graph.op("add", v, graph.op("exp", x))
    choice = graph.op("where", graph.op("not", graph.op("lt", h, x)), h, graph.literal(-0.5))
    lines, names = statements(graph, [choice], {x: "x", v: "v0"}, PLAIN)
    assert lines == [
        "const R n2 = exp(x);",
        "const R n3 = v0 + n2;",
        "const R n7 = !(n3 < x) ? n3 : R(-0.5);",
    ]
    assert names[choice] == "n7" and names[x] == "x"


def test_what_is_given_is_not_computed():
    graph = Graph()
    x = graph.input("x")
    kept = graph.op("exp", x)
    wanted = graph.op("neg", kept)
    lines, names = statements(graph, [wanted, kept], {kept: "kept_0"}, PLAIN)
    assert lines == [f"const R n{wanted} = -kept_0;"] and names[kept] == "kept_0"
    with pytest.raises(KeyError, match="no input 'x'"):
        statements(graph, [kept], {}, PLAIN)


def test_a_spike_needs_neither_its_argument_nor_its_derivative():
    graph = Graph()
    x = graph.input("x")
    u = graph.op("exp", x)
    fire = graph.op("fire", graph.op("detach", x), u, u)
    assert statements(graph, [fire], {x: "x"}, PLAIN) == ([], {x: "x", 2: "x", fire: "x"})


def test_long_conditions_get_a_name():
    graph = Graph()
    x = graph.input("x")
    first = graph.op("lt", x, graph.literal(0.0))
    condition = first
    for _ in range(60):  # twice as long each time, were it written out
        condition = graph.op("and", graph.op("or", condition, first), condition)
    choice = graph.op("where", condition, x, graph.literal(1.0))
    lines, _ = statements(graph, [choice], {x: "x"}, PLAIN)
    assert max(map(len, lines)) < 1000 and lines[0].startswith("const bool n")


def test_an_emitter_may_write_a_node_itself():
    graph = Graph()
    x = graph.input("x")
    half = graph.op("div", x, graph.literal(2.0))
    third = graph.op("div", half, x)
    by_half = Spelling(
        C_OPERATIONS,
        "float",
        lambda graph, node, names: f"{names[x]} * float(0.5)" if node.args[0] == x else None,
    )
    lines, _ = statements(graph, [third], {x: "x"}, by_half)
    assert lines == ["const float n2 = x * float(0.5);", "const float n3 = n2 / x;"]


def test_literals_are_exact():
    assert literal(0.1) == "R(0.1)" and literal(-2.0, "float") == "float(-2.0)"
    assert literal(math.inf) == "R(INFINITY)" and literal(-math.inf) == "R(-INFINITY)"
    assert literal(math.nan) == "R(NAN)" and literal(5e-324) == "R(5e-324)"
