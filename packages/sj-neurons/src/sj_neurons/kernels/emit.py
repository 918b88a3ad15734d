"""Expressions as statements of C: what the C++ and the CUDA emitter have in common."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from .graph import Graph, Node

__all__ = ["C_OPERATIONS", "Spelling", "literal", "statements"]

C_OPERATIONS: dict[str, str] = {
    "neg": "-{0}", "add": "{0} + {1}", "sub": "{0} - {1}", "mul": "{0} * {1}", "div": "{0} / {1}",
    "lt": "({0} < {1})", "le": "({0} <= {1})", "gt": "({0} > {1})", "ge": "({0} >= {1})",
    "eq": "({0} == {1})", "ne": "({0} != {1})", "not": "!{0}", "and": "({0} && {1})",
    "or": "({0} || {1})", "where": "{0} ? {1} : {2}", "fire": "{0}", "detach": "{0}",
}  # fmt: skip

_LONG = 200  # characters of a condition that is written again at each use


@dataclass(frozen=True)
class Spelling:
    """How a language writes operations and literals; `{0}` is the first argument.

    `divide`, if given, writes a node itself, or returns None to have it written by `operations`.
    """

    operations: Mapping[str, str]
    type_name: str = "R"
    divide: Callable[[Graph, Node, Mapping[int, str]], str | None] | None = None


def literal(value: float, type_name: str = "R") -> str:
    """`value` exactly, rounded by the compiler to the type."""
    if math.isnan(value):
        return f"{type_name}(NAN)"
    if math.isinf(value):
        return f"{type_name}({'-' if value < 0 else ''}INFINITY)"
    return f"{type_name}({value!r})"


def statements(
    graph: Graph, outputs: Iterable[int], given: Mapping[int, str], spelling: Spelling
) -> tuple[list[str], dict[int, str]]:
    """Statements that compute `outputs` from the nodes `given`, and the name of every node.

    Comparisons are written where they are used, unless they are long: compilers vectorise a choice,
    not a variable that is true or false.
    """
    names = dict(given)
    lines: list[str] = []
    for index in graph.reached_from(outputs, values=True, until=given):
        if index in given:
            continue
        node = graph.nodes[index]
        if node.op == "literal":
            names[index] = literal(float(node.value), spelling.type_name)
            continue
        if node.op == "input":
            raise KeyError(f"the kernel has no input {node.value!r}")
        text = spelling.divide(graph, node, names) if spelling.divide else None
        if text is None:
            used = node.args[:1] if node.op == "fire" else node.args
            text = spelling.operations[node.op].format(*(names[i] for i in used))
        if node.is_truth and len(text) <= _LONG:
            names[index] = text
        elif node.is_truth:
            names[index] = f"n{index}"
            lines.append(f"const bool n{index} = {text};")
        elif node.op in ("fire", "detach"):
            names[index] = names[node.args[0]]
        else:
            names[index] = f"n{index}"
            lines.append(f"const {spelling.type_name} n{index} = {text};")
    return lines, names
