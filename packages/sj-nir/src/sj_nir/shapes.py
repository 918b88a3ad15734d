"""Shapes of one sample at one step, carried along the edges of a graph.

The nir library's own inference refuses valid graphs (rectangular kernels, grouped convolutions),
so it is switched off everywhere here.
"""

from __future__ import annotations

from typing import Any

import nir

from .errors import NIRGraphError, NotSupportedError
from .ops.table import Shape, op_of_node
from .topology import Topology

__all__ = ["infer_shapes", "stated_shape"]


def infer_shapes(graph: nir.NIRGraph, topology: Topology) -> dict[str, Shape]:
    """The output shape of each node, checked on the way.

    Raises:
        NIRGraphError: a shape that does not fit the next node.
        NotSupportedError: a node without a row in the table.
    """
    shapes: dict[str, Shape] = {}
    before: dict[str, Shape] = {}
    for name in topology.order:
        node = graph.nodes[name]
        if isinstance(node, nir.Input):
            shapes[name] = stated_shape(node.input_type["input"], name, required=True)
            continue
        # a source that comes later closes a loop; it is looked at below
        known = {s: shapes[s] for s in topology.sources[name] if s in shapes}
        incoming = before[name] = _common(name, known)
        if isinstance(node, nir.Output):
            stated = stated_shape(node.output_type["output"], name, required=False)
            if stated and stated != incoming:
                raise NIRGraphError(f"says {stated}, but gets {incoming}", node=name, field="shape")
            shapes[name] = incoming
            continue
        op = op_of_node(node)
        if op is None:
            raise NotSupportedError(f"{type(node).__name__} is not supported yet", node=name)
        shapes[name] = op.output_shape(node, name, incoming)
    for name, incoming in before.items():
        found = {source: shapes[source] for source in topology.sources[name]}
        if any(shape != incoming for shape in found.values()):
            _common(name, found)
    return shapes


def stated_shape(value: Any, name: str, required: bool) -> Shape:
    """The shape that an Input or Output states, `()` for none.

    Raises:
        NIRGraphError: it is missing but `required`, or no list of integers.
    """
    if value is None:
        if required:
            raise NIRGraphError("is missing; an Input states its shape", node=name, field="shape")
        return ()
    try:
        return tuple(int(i) for i in value)
    except (TypeError, ValueError, OverflowError):
        raise NIRGraphError(f"expected integers, got {value!r}", node=name, field="shape") from None


def _common(name: str, incoming: dict[str, Shape]) -> Shape:
    shapes = set(incoming.values())
    if len(shapes) == 1:
        return shapes.pop()
    listed = ", ".join(f"{shape} from {source!r}" for source, shape in incoming.items())
    raise NIRGraphError(f"adds up inputs of different shapes: {listed}", node=name)
