"""The wiring of a NIR graph: checked, and put in an order in which it can be computed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import nir

from .errors import NIRGraphError, NotSupportedError

__all__ = ["Topology", "analyse", "check_edges"]

# Nodes whose output at one step may depend on what came in at earlier steps only.
STATEFUL = (nir.I, nir.IF, nir.LI, nir.LIF, nir.CubaLI, nir.CubaLIF, nir.Delay, nir.NIRGraph)


@dataclass(frozen=True)
class Topology:
    """Names of all nodes, sources first, and the sources of each in the order of the edges."""

    order: tuple[str, ...]
    sources: dict[str, tuple[str, ...]]


def check_edges(graph: nir.NIRGraph) -> None:
    """Check that every node is wired up, and only once.

    Raises:
        NIRGraphError: an edge from or to nowhere, an edge given twice, a node that gets nothing or
            feeds nothing, no Input or Output; names the edge or the node.
    """
    edges = _edges(graph)
    _check_ends(graph, edges)
    _check_use(graph, edges)


def _edges(graph: nir.NIRGraph) -> list[tuple[str, str]]:
    return [(str(source), str(target)) for source, target in graph.edges]


def analyse(graph: nir.NIRGraph) -> Topology:
    """Put the nodes of `graph`, whose edges are checked, in order.

    Raises:
        NIRGraphError: a loop in which nothing delays the signal.
        NotSupportedError: a recurrent connection.
    """
    edges = _edges(graph)
    sources: dict[str, list[str]] = {name: [] for name in graph.nodes}
    for source, target in edges:
        sources[target].append(source)
    frozen = {name: tuple(found) for name, found in sources.items()}
    return Topology(_ordered(graph, edges, frozen), frozen)


def _check_ends(graph: nir.NIRGraph, edges: list[tuple[str, str]]) -> None:
    for source, target in edges:
        for end in (source, target):
            if end not in graph.nodes:
                raise NIRGraphError(
                    f"edge {source!r} -> {target!r}: there is no node {end!r}; "
                    f"the nodes are {_listed(graph.nodes)}"
                )
    twice = [edge for edge, times in Counter(edges).items() if times > 1]
    if twice:
        source, target = twice[0]
        raise NIRGraphError(f"edge {source!r} -> {target!r} is given more than once")


def _check_use(graph: nir.NIRGraph, edges: list[tuple[str, str]]) -> None:
    for kind in (nir.Input, nir.Output):
        if not any(isinstance(node, kind) for node in graph.nodes.values()):
            raise NIRGraphError(f"the graph has no {kind.__name__} node")
    fed, used = {target for _, target in edges}, {source for source, _ in edges}
    for name, node in graph.nodes.items():
        if isinstance(node, nir.Input) and name in fed:
            raise NIRGraphError("an Input cannot be the target of an edge", node=name)
        if isinstance(node, nir.Output) and name in used:
            raise NIRGraphError("an Output cannot be the source of an edge", node=name)
        if not isinstance(node, nir.Input) and name not in fed:
            raise NIRGraphError("nothing feeds it: add an edge to it, or remove it", node=name)
        if not isinstance(node, nir.Output) and name not in used:
            raise NIRGraphError("it feeds nothing: add an edge from it, or remove it", node=name)


def _ordered(
    graph: nir.NIRGraph, edges: list[tuple[str, str]], sources: dict[str, tuple[str, ...]]
) -> tuple[str, ...]:
    # files list nodes by alphabet (_10 before _2): edges are the better hint at the author's order
    waiting = dict.fromkeys(name for edge in edges for name in edge)
    order: dict[str, None] = {}
    while waiting:
        ready = [name for name in waiting if all(source in order for source in sources[name])]
        if not ready:
            _refuse_loop(graph, waiting, sources)
        for name in ready:
            order[name] = None
            del waiting[name]
    return tuple(order)


def _refuse_loop(
    graph: nir.NIRGraph, waiting: Iterable[str], sources: dict[str, tuple[str, ...]]
) -> None:
    """Raise for one loop among `waiting`: walking back from a waiting node must end in one."""
    left = set(waiting)
    walk: list[str] = [min(left)]
    while walk[-1] not in walk[:-1]:
        walk.append(next(source for source in sources[walk[-1]] if source in left))
    loop = list(reversed(walk[walk.index(walk[-1]) :]))
    path = " -> ".join(repr(name) for name in loop)
    if not any(isinstance(graph.nodes[name], STATEFUL) for name in loop):
        raise NIRGraphError(
            f"the loop {path} has no node with state, so nothing delays its signal; "
            "put a neuron or a Delay into it"
        )
    raise NotSupportedError(
        f"the recurrent connection {path} is not supported yet (nor is the argument cut, "
        "which says where its delay sits)"
    )


def _listed(names: Iterable[str], most: int = 12) -> str:
    known = [repr(name) for name in names]
    return ", ".join(known[:most]) + (", ..." if len(known) > most else "")
