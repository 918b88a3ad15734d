"""In which order nodes are computed, and where the delay of a loop sits.

A loop needs one step of delay. It closes with the edge that leads back in a depth-first walk from
the Inputs, nodes by name, so that the order of the edges in a file has no say.

    cut='current'  the delay sits on that edge
    cut='neuron'   the delay sits on the edge that leaves the last node with state before it, so
                   that what lies between, say a bias, acts from the first step on

What a delayed edge carries at the first step is 0. Metadata may state delayed edges outright.
"""

from __future__ import annotations

from dataclasses import dataclass

import nir

from ..errors import NIRGraphError
from .flat import Edge, FlatGraph
from .rule import recorded_names
from .stateful import NEURONS

__all__ = ["Component", "Schedule", "schedule"]

STATEFUL = (*NEURONS, nir.Delay)
Links = dict[str, list[str]]


@dataclass(frozen=True)
class Component:
    """Nodes that depend on each other in a loop, or one node that does not."""

    names: tuple[str, ...]
    cyclic: bool


@dataclass(frozen=True)
class Schedule:
    """Components, sources first; within them nodes, sources first except over delayed edges."""

    components: tuple[Component, ...]
    delayed: frozenset[tuple[str, str]]

    @property
    def order(self) -> tuple[str, ...]:
        return tuple(name for component in self.components for name in component.names)


def schedule(graph: FlatGraph, cut: str) -> Schedule:
    """Order the nodes of `graph`, whose wiring is checked.

    Raises:
        NIRGraphError: a loop in which nothing delays the signal; a node that no Input leads to.
    """
    stated = {
        (source, name)
        for name, node in graph.nodes.items()
        for source in recorded_names(node, "delayed")
        if source in graph.sources[name]
    }
    targets = {
        name: [target for target in found if (name, target) not in stated]
        for name, found in graph.targets.items()
    }
    components = _strong_components(graph.targets)
    _check_reached(graph)
    closing = _closing_edges(graph, targets)
    for edge in closing:
        _check_loop(edge, targets, graph)
    delayed = stated | closing
    if cut == "neuron":
        within = {name: members for members in components for name in members}
        delayed = stated | _neuron_edges(closing, stated, graph, within)
    units = tuple(
        Component(
            _ordered(members, graph, delayed),
            cyclic=len(members) > 1 or members[0] in graph.targets[members[0]],
        )
        for members in components
    )
    return Schedule(units, frozenset(delayed))


def _check_reached(graph: FlatGraph) -> None:
    waiting = list(graph.inputs)
    reached = set(waiting)
    while waiting:
        new = set(graph.targets[waiting.pop()]) - reached
        reached |= new
        waiting += new
    lost = [name for name in graph.nodes if name not in reached]
    if lost:
        raise NIRGraphError("no path from an Input leads to it", node=min(lost))


def _closing_edges(graph: FlatGraph, targets: Links) -> set[Edge]:
    """Edges that lead back to a node still open in a depth-first walk."""
    found: set[Edge] = set()
    open_nodes: set[str] = set()
    seen: set[str] = set()
    for start in (*sorted(graph.inputs), *sorted(graph.nodes)):
        stack = [] if start in seen else [(start, iter(sorted(targets[start])))]
        while stack:
            name, rest = stack[-1]
            seen.add(name)
            open_nodes.add(name)
            following = next(rest, None)
            if following is None:
                open_nodes.discard(name)
                stack.pop()
            elif following in open_nodes:
                found.add((name, following))
            elif following not in seen:
                stack.append((following, iter(sorted(targets[following]))))
    return found


def _check_loop(edge: Edge, targets: Links, graph: FlatGraph) -> None:
    """Refuse `edge` if it closes a loop of nodes without state."""
    last, first = edge
    before: dict[str, str] = {}
    waiting = [first]
    while waiting:
        name = waiting.pop(0)
        if isinstance(graph.nodes[name], STATEFUL):
            continue
        if name == last:
            loop = [last]
            while loop[-1] != first:
                loop.append(before[loop[-1]])
            path = " -> ".join(repr(name) for name in (*reversed(loop), first))
            raise NIRGraphError(
                f"the loop {path} has no node with state, so nothing delays its signal; "
                "put a neuron or a Delay into it"
            )
        for target in targets[name]:
            if target not in before and target != first:
                before[target] = name
                waiting.append(target)


def _neuron_edges(
    closing: set[Edge], stated: set[Edge], graph: FlatGraph, within: Links
) -> set[Edge]:
    """The edges out of the last nodes with state before the closing edges, themselves included."""
    found: set[Edge] = set()
    waiting, seen = list(closing), set(closing) | stated
    while waiting:
        source, target = waiting.pop()
        if isinstance(graph.nodes[source], STATEFUL):
            found.add((source, target))
            continue
        before = {(name, source) for name in graph.sources[source] if name in within[source]}
        waiting += before - seen
        seen |= before
    return found


def _ordered(members: list[str], graph: FlatGraph, delayed: set[Edge]) -> tuple[str, ...]:
    """Members of one component, sources first."""
    waiting = {
        name: {
            source
            for source in graph.sources[name]
            if source in members and (source, name) not in delayed
        }
        for name in members
    }
    order: list[str] = []
    while waiting:
        name = next(name for name, sources in waiting.items() if not sources)
        del waiting[name]
        order.append(name)
        for sources in waiting.values():
            sources.discard(name)
    return tuple(order)


def _strong_components(targets: Links) -> list[list[str]]:
    """Tarjan's strongly connected components without recursion, sources first."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    path: list[str] = []
    on_path: set[str] = set()
    found: list[list[str]] = []
    for start in targets:
        stack = [(start, iter(targets[start]))] if start not in index else []
        while stack:
            name, rest = stack[-1]
            if name not in index:
                index[name] = low[name] = len(index)
                path.append(name)
                on_path.add(name)
            following = next(rest, None)
            if following is None:
                stack.pop()
                if stack:
                    low[stack[-1][0]] = min(low[stack[-1][0]], low[name])
                if low[name] == index[name]:
                    cut = path.index(name)
                    found.append(path[cut:])
                    on_path.difference_update(path[cut:])
                    del path[cut:]
            elif following not in index:
                stack.append((following, iter(targets[following])))
            elif following in on_path:
                low[name] = min(low[name], index[following])
    return found[::-1]
