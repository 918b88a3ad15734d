"""Chips whose cores each hold a convolution, its neurons and a pooling, in this order."""

from __future__ import annotations

from collections.abc import Iterator

import nir

from ...interpreter import Program
from ..target import Finding, Limit
from .weights import PASSING, WEIGHTS, weight_nodes

__all__ = ["core_order", "destinations"]


def core_order(program: Program, limit: Limit) -> Iterator[Finding]:
    """Weights lead to one IF, and an IF gets its input from one node with weights."""
    nodes = program.graph.nodes
    for name in weight_nodes(program):
        targets = program.graph.targets[name]
        if len(targets) != 1 or not isinstance(nodes[targets[0]], nir.IF):
            yield Finding(name, None, limit, f"leads to {_kinds(program, targets)}")
    for name, node in nodes.items():
        sources = program.graph.sources[name]
        if isinstance(node, nir.IF) and (
            len(sources) != 1 or not isinstance(nodes[sources[0]], WEIGHTS)
        ):
            yield Finding(name, None, limit, f"fed by {_kinds(program, sources)}")


def _kinds(program: Program, names: list[str]) -> str:
    return " and ".join(f"{name!r} ({type(program.graph.nodes[name]).__name__})" for name in names)


def destinations(program: Program, limit: Limit) -> Iterator[Finding]:
    """The neurons of an IF lead to at most `value` nodes with weights, pooling aside."""
    for name, node in program.graph.nodes.items():
        if isinstance(node, nir.IF):
            found = _behind(program, name)
            if len(found) > limit.value:
                listed = ", ".join(map(repr, sorted(found)))
                yield Finding(name, None, limit, f"{len(found)} ({listed})")


def _behind(program: Program, name: str) -> set[str]:
    """The nodes with weights that get what `name` puts out."""
    found: set[str] = set()
    waiting, met = [name], {name}
    while waiting:
        for target in program.graph.targets[waiting.pop()]:
            node = program.graph.nodes[target]
            if isinstance(node, WEIGHTS):
                found.add(target)
            elif isinstance(node, PASSING) and target not in met:
                met.add(target)
                waiting.append(target)
    return found
