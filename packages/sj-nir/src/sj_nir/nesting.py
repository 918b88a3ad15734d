"""Nested graphs put into the graph around them.

The node `lif` of the nested graph `rnn` becomes `rnn/lif`; the Inputs and Outputs of nested graphs
pass values on unchanged, so that edges lead past them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import nir

from .errors import NIRGraphError
from .wiring import check_edges, port_of

__all__ = ["FlatGraph", "Gate", "flattened"]

SEPARATOR = "/"  # no name in a file contains it
_DEEPEST = 50
_MOST_EDGES = 1 << 16  # past nested graphs, which may double them at every level


@dataclass(frozen=True)
class Gate:
    """An Input or Output of a nested graph: what feeds it, and the shape that it states."""

    name: str
    sources: tuple[str, ...]
    shape: Any


@dataclass(frozen=True)
class FlatGraph:
    """A graph without nested graphs, in which an edge may occur more than once, and its gates."""

    graph: nir.NIRGraph
    gates: tuple[Gate, ...]


def flattened(graph: nir.NIRGraph) -> FlatGraph:
    """`graph` with the nodes of nested graphs in it; the nodes themselves are not copied.

    Raises:
        NIRGraphError: wrong edges in any of the graphs (see :func:`sj_nir.wiring.check_edges`), an
            edge to a nested graph with several Inputs that does not say which.
    """
    nodes: dict[str, nir.NIRNode] = {}
    edges = list(_expanded(graph, "", nodes))
    gates = [name for name, node in nodes.items() if SEPARATOR in name and _is_end(node)]
    if not gates:
        return FlatGraph(graph, ())
    resolve = _Resolver(nodes, edges)
    direct = [
        (source, target)
        for fed_by, target in edges
        if target not in resolve.gates
        for source in resolve(fed_by)
    ]
    kept = {name: node for name, node in nodes.items() if name not in resolve.gates}
    flat = nir.NIRGraph(kept, direct, metadata=graph.metadata, type_check=False)
    return FlatGraph(flat, tuple(Gate(name, resolve(name), _shape(nodes[name])) for name in gates))


def _is_end(node: nir.NIRNode) -> bool:
    return isinstance(node, nir.Input | nir.Output)


def _shape(node: Any) -> Any:
    return node.input_type["input"] if isinstance(node, nir.Input) else node.output_type["output"]


def _expanded(
    graph: nir.NIRGraph, prefix: str, nodes: dict[str, nir.NIRNode], depth: int = 0
) -> Iterator[tuple[str, str]]:
    """The edges of `graph` and of those in it; their nodes go to `nodes`, by path."""
    path = prefix.removesuffix(SEPARATOR) or None
    if depth > _DEEPEST:
        raise NIRGraphError(f"is nested more than {_DEEPEST} deep", node=path)
    check_edges(graph, path)
    waiting = {name for name, node in graph.nodes.items() if isinstance(node, nir.NIRGraph)}
    for name, node in graph.nodes.items():
        if SEPARATOR in name:
            raise NIRGraphError(f"a name must not contain {SEPARATOR!r}", node=name)
        if name not in waiting:
            nodes[prefix + name] = node
    for source, target in graph.edges:
        yield (
            prefix + _end(graph, str(source), nir.Output, prefix),
            prefix + _end(graph, str(target), nir.Input, prefix),
        )
        for name in (str(source), str(target)):
            port = None if name in graph.nodes else port_of(graph, name)
            nested = name if port is None else port[0]
            if nested in waiting:
                waiting.discard(nested)
                inner: Any = graph.nodes[nested]
                yield from _expanded(inner, f"{prefix}{nested}{SEPARATOR}", nodes, depth + 1)


def _end(graph: nir.NIRGraph, name: str, kind: type[nir.NIRNode], prefix: str) -> str:
    """The node an edge really starts from or leads to: an end of a nested graph, or the node."""
    node = graph.nodes.get(name)
    if node is None:
        return SEPARATOR.join(port_of(graph, name) or (name,))
    if not isinstance(node, nir.NIRGraph):
        return name
    ends = [inner for inner, found in node.nodes.items() if isinstance(found, kind)]
    if len(ends) > 1:
        listed = " or ".join(repr(f"{name}.{end}") for end in ends)
        raise NIRGraphError(
            f"has several {kind.__name__} nodes, so edges must say which: {listed}",
            node=prefix + name,
        )
    return f"{name}{SEPARATOR}{ends[0]}" if ends else name


class _Resolver:
    """From gates to the nodes whose values they pass on."""

    def __init__(self, nodes: dict[str, nir.NIRNode], edges: list[tuple[str, str]]) -> None:
        self.gates = {name for name, node in nodes.items() if SEPARATOR in name and _is_end(node)}
        feeding: dict[str, list[str]] = {name: [] for name in self.gates}
        for source, target in edges:
            if target in self.gates:
                feeding[target].append(source)
        self.known: dict[str, tuple[str, ...]] = {}
        self.left = _MOST_EDGES
        for name in nodes:
            if name in self.gates:
                self._follow(name, feeding)

    def __call__(self, name: str) -> tuple[str, ...]:
        if name not in self.gates:
            return (name,)
        found = self.known[name]
        self.left -= len(found)
        if self.left < 0:
            raise NIRGraphError(f"edges through it multiply to more than {_MOST_EDGES}", node=name)
        return found

    def _follow(self, start: str, feeding: dict[str, list[str]]) -> None:
        """Make `start` known, and what it needs before."""
        way = {start: None}  # gates, each fed by the next
        while way:
            here = next(reversed(way))
            unknown = (s for s in feeding[here] if s in self.gates and s not in self.known)
            before = next(unknown, None)
            if before is None:
                self.known[here] = tuple(found for s in feeding[here] for found in self(s))
                del way[here]
            elif before in way:
                path = " -> ".join(repr(gate) for gate in (*way, before))
                raise NIRGraphError(f"the loop {path} has no node with state")
            else:
                way[before] = None
