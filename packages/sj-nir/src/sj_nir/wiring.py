"""Checks of the edges of a NIR graph."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import nir

from .errors import NIRGraphError

__all__ = ["check_edges", "port_of"]


def check_edges(graph: nir.NIRGraph, path: str | None = None) -> None:
    """Check that every node is wired up, and only once.

    Args:
        graph: the graph; what nested graphs contain is not looked at.
        path: name of the graph, if it is nested.

    Raises:
        NIRGraphError: an edge from or to nowhere, an edge given twice, a node that gets nothing or
            feeds nothing, no Input or Output; names the edge or the node.
    """
    edges = [(str(source), str(target)) for source, target in graph.edges]
    _check_ends(graph, edges, path)
    _check_use(graph, edges, path)


def _check_ends(graph: nir.NIRGraph, edges: list[tuple[str, str]], path: str | None) -> None:
    for source, target in edges:
        for end in (source, target):
            if end not in graph.nodes and port_of(graph, end) is None:
                raise NIRGraphError(
                    f"edge {source!r} -> {target!r}: there is no node {end!r}; "
                    f"the nodes are {_listed(graph.nodes)}",
                    node=path,
                )
    twice = [edge for edge, times in Counter(edges).items() if times > 1]
    if twice:
        source, target = twice[0]
        raise NIRGraphError(f"edge {source!r} -> {target!r} is given more than once", node=path)


def port_of(graph: nir.NIRGraph, end: str) -> tuple[str, str] | None:
    """The nested graph and the Input or Output in it that `end`, as in 'graph.input', names."""
    for name, node in graph.nodes.items():
        if isinstance(node, nir.NIRGraph) and end.startswith(f"{name}."):
            port = end[len(name) + 1 :]
            if isinstance(node.nodes.get(port), nir.Input | nir.Output):
                return name, port
    return None


def _owner(graph: nir.NIRGraph, end: str) -> str:
    port = None if end in graph.nodes else port_of(graph, end)
    return end if port is None else port[0]


def _check_use(graph: nir.NIRGraph, edges: list[tuple[str, str]], path: str | None) -> None:
    for kind in (nir.Input, nir.Output):
        if not any(isinstance(node, kind) for node in graph.nodes.values()):
            raise NIRGraphError(f"the graph has no {kind.__name__} node", node=path)
    fed = {_owner(graph, target) for _, target in edges}
    used = {_owner(graph, source) for source, _ in edges}
    for own, node in graph.nodes.items():
        name = own if path is None else f"{path}/{own}"
        if isinstance(node, nir.Input) and own in fed:
            raise NIRGraphError("an Input cannot be the target of an edge", node=name)
        if isinstance(node, nir.Output) and own in used:
            raise NIRGraphError("an Output cannot be the source of an edge", node=name)
        if not isinstance(node, nir.Input) and own not in fed:
            raise NIRGraphError("nothing feeds it: add an edge to it, or remove it", node=name)
        if not isinstance(node, nir.Output) and own not in used:
            raise NIRGraphError("it feeds nothing: add an edge from it, or remove it", node=name)


def _listed(names: Iterable[str], most: int = 12) -> str:
    known = [repr(name) for name in names]
    return ", ".join(known[:most]) + (", ..." if len(known) > most else "")
