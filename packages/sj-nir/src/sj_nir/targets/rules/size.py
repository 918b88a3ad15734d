"""Numbers of neurons and connections, types of nodes, reset."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any

import nir
import numpy as np

from ...interpreter import Program
from ...interpreter.rule import RESETS, recorded_word
from ..target import Finding, Limit
from .weights import NEURONS, neuron_nodes

__all__ = [
    "fan_out",
    "hidden_neurons",
    "input_channels",
    "neurons",
    "node_types",
    "output_neurons",
    "reset",
    "synapses",
]


def node_types(program: Program, limit: Limit) -> Iterator[Finding]:
    """Every node is an Input, an Output or of one of the types `value`."""
    for name, node in program.graph.nodes.items():
        kind = type(node).__name__
        if kind not in ("Input", "Output", *limit.value):
            yield Finding(name, None, limit, kind)


def input_channels(program: Program, limit: Limit) -> Iterator[Finding]:
    """All Inputs together have at most `value` elements."""
    yield from _at_most(_elements(program, program.graph.inputs), limit)


def neurons(program: Program, limit: Limit) -> Iterator[Finding]:
    """There are at most `value` neurons."""
    yield from _at_most(_elements(program, neuron_nodes(program)), limit)


def hidden_neurons(program: Program, limit: Limit) -> Iterator[Finding]:
    """At most `value` neurons lead to no Output."""
    hidden = (name for name in neuron_nodes(program) if not _is_last(program, name))
    yield from _at_most(_elements(program, hidden), limit)


def output_neurons(program: Program, limit: Limit) -> Iterator[Finding]:
    """At most `value` neurons lead to an Output."""
    last = (name for name in neuron_nodes(program) if _is_last(program, name))
    yield from _at_most(_elements(program, last), limit)


def synapses(program: Program, limit: Limit) -> Iterator[Finding]:
    """Linear and Affine nodes together have at most `value` weights other than 0."""
    nodes: Iterable[Any] = program.graph.nodes.values()
    dense = (node.weight for node in nodes if isinstance(node, nir.Affine | nir.Linear))
    yield from _at_most(sum(int(np.count_nonzero(weight)) for weight in dense), limit)


def fan_out(program: Program, limit: Limit) -> Iterator[Finding]:
    """A neuron reaches at most `value` neurons by Linear and Affine nodes and direct edges."""
    for name in neuron_nodes(program):
        count = np.zeros(program.shapes[name] or (1,), np.int64)
        for target in program.graph.targets[name]:
            node: Any = program.graph.nodes[target]
            if isinstance(node, nir.Affine | nir.Linear) and np.ndim(node.weight) == 2:
                count = count + np.count_nonzero(node.weight, axis=0)
            elif isinstance(node, NEURONS):
                count = count + 1
        if count.max() > limit.value:
            yield Finding(name, None, limit, f"{count.max()}")


def reset(program: Program, limit: Limit) -> Iterator[Finding]:
    """Neurons that fire reset as `value` says, `'hard'` or `'soft'`."""
    for name in neuron_nodes(program):
        node: Any = program.graph.nodes[name]
        if isinstance(node, nir.IF | nir.LIF | nir.CubaLIF):
            found = recorded_word(node, name, "reset", RESETS) or "hard"
            if found != limit.value:
                yield Finding(name, "v_reset", limit, found)


def _elements(program: Program, names: Iterable[str]) -> int:
    return sum(math.prod(program.shapes[name]) for name in names)


def _is_last(program: Program, name: str) -> bool:
    return any(target in program.graph.outputs for target in program.graph.targets[name])


def _at_most(count: int, limit: Limit) -> Iterator[Finding]:
    if count > limit.value:
        yield Finding(None, None, limit, f"{count}")
