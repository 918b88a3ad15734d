"""Graphs as the newest version of NIR writes them."""

from __future__ import annotations

import math
from typing import Any

import nir
import numpy as np

from .errors import NIRGraphError
from .interpreter import Program, SingleNumberError, compile_graph, flatten

__all__ = ["completed", "without_nesting"]

SHORTEST_STEP = 1e-12  # seconds; no time constant is shorter, so that none is refused
MOST_NUMBERS = 1 << 28  # made of one number in a file
_PER_NEURON = (
    "r", "tau", "tau_syn", "tau_mem", "v_leak", "v_threshold", "v_reset", "w_in",
    "scale", "threshold", "delay",
)  # fmt: skip


def completed(graph: nir.NIRGraph) -> nir.NIRGraph:
    """Fill in what older or careless writers left out; `graph` itself is changed and returned.

    A node whose parameters are single numbers gets one for each neuron, a convolution its
    `input_shape`, a Flatten its `input_type`.

    Raises:
        NIRGraphError: the graph is malformed in another way.
    """
    program = _with_arrays(graph)
    for name, node in program.graph.nodes.items():
        sources = program.graph.sources[name]
        shape = program.shapes[sources[0]] if sources else program.shapes[name]
        if isinstance(node, nir.Conv2d) and node.input_shape is None:
            node.input_shape = (shape[1], shape[2])
        elif isinstance(node, nir.Conv1d) and node.input_shape is None:
            node.input_shape = shape[1]
        _set_types(node, shape, program.shapes[name])
    for name, gate in program.graph.gates.items():
        shape = program.shapes[program.graph.gate_sources[name][0]]
        _set_types(gate, shape, shape)
    return graph


def _with_arrays(graph: nir.NIRGraph) -> Program:
    while True:
        try:
            return compile_graph(graph, SHORTEST_STEP)
        except SingleNumberError as error:
            node: Any = flatten(graph).nodes[str(error.node)]
            if math.prod(error.shape) > MOST_NUMBERS:
                raise NIRGraphError(
                    f"gets {error.shape}, more than {MOST_NUMBERS} numbers", node=error.node
                ) from error
            for field in _PER_NEURON:
                value = getattr(node, field, None)
                if value is not None and np.ndim(value) == 0:
                    setattr(node, field, np.full(error.shape, value))


def _set_types(node: nir.NIRNode, before: tuple[int, ...], after: tuple[int, ...]) -> None:
    node.input_type = {"input": np.array(before, np.int64)}
    node.output_type = {"output": np.array(after, np.int64)}


def without_nesting(graph: nir.NIRGraph) -> nir.NIRGraph:
    """The graph with the nodes of nested graphs in it, named `OUTER.INNER`.

    Raises:
        NIRGraphError: two edges from one node to another, which NIR cannot tell from one.
    """
    flat = flatten(graph)
    names: dict[str, str] = {}
    for path in sorted(flat.nodes, key=lambda path: path.count("/")):
        name = path.replace("/", ".")
        while name in names.values():
            name += "_"
        names[path] = name
    edges = [(names[source], names[target]) for source, target in flat.edges]
    for source, target in edges:
        if edges.count((source, target)) > 1:
            raise NIRGraphError(
                f"edge {source!r} -> {target!r} is there more than once without nesting"
            )
    nodes = {names[path]: node for path, node in flat.nodes.items()}
    return nir.NIRGraph(nodes, edges, metadata=graph.metadata, type_check=False)
