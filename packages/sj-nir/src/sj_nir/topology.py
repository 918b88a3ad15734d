"""The wiring of a NIR graph: the order in which it can be computed, and where its loops delay.

A loop needs one step of delay. A walk from the Inputs (depth first, nodes by name, so that the
order of the edges in a file has no say) finds the edges that close loops. The delay sits

    cut='current'   on the closing edge
    cut='neuron'    on the edges that leave the nodes with state before it: against the direction of
                    the closing edge, over nodes without state

and its value before the first step is 0. A Delay in a loop adds to that one step. A node's metadata
may state its delayed edges outright.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import nir

from .errors import NIRGraphError
from .metadata import record_of

__all__ = ["DELAYED", "NEURONS", "Edge", "Topology", "analyse", "in_flow_order"]

Edge = tuple[str, str]
Sources = Mapping[str, Sequence[str]]

NEURONS = (nir.I, nir.IF, nir.LI, nir.LIF, nir.CubaLI, nir.CubaLIF)
STATEFUL = (*NEURONS, nir.Delay)
DELAYED = "delayed"  # entry of a node's record: {source: 1} for each incoming edge with a delay


@dataclass(frozen=True)
class Topology:
    """How a graph without nested graphs can be computed.

    Attributes:
        order: all nodes; one of the sources of each comes before it, all of them outside of loops.
        sources: the sources of each node in the order of the edges.
        delayed: the edges on which the value of the step before travels.
        units: all nodes, sources first; nodes that can only be computed together, step by step, are
            one unit, in the order of computation within a step.
        loops: the units of which some edge leads back into them.
    """

    order: tuple[str, ...]
    sources: dict[str, tuple[str, ...]]
    delayed: frozenset[Edge]
    units: tuple[tuple[str, ...], ...]
    loops: frozenset[tuple[str, ...]]


def analyse(graph: nir.NIRGraph, cut: str = "neuron") -> Topology:
    """Put the nodes of `graph`, whose edges are checked, in order and cut its loops.

    Raises:
        NIRGraphError: a loop in which nothing has state; a node that no Input leads to.
    """
    edges = [(str(source), str(target)) for source, target in graph.edges]
    sources = _ends(graph.nodes, ((target, source) for source, target in edges))
    targets = _ends(graph.nodes, edges)
    inputs = sorted(name for name, node in graph.nodes.items() if isinstance(node, nir.Input))
    closing, finished = _walk(targets, inputs)
    lost = graph.nodes.keys() - set(finished)
    if lost:
        raise NIRGraphError("no path from an Input leads to it", node=min(lost))
    wiring = _Wiring(graph, sources, targets, inputs, _components(finished, sources))
    wiring.check_loops()
    # files list nodes by alphabet (_10 before _2): edges are the better hint at the author's order
    names = tuple(dict.fromkeys(name for edge in edges for name in edge))
    delayed = wiring.delayed(cut)
    units = wiring.units(names, delayed)
    looped = (unit for unit in units if len(unit) != 1 or unit[0] in sources[unit[0]])
    return Topology(
        order=in_flow_order(names, _without(sources, closing)),
        sources={name: tuple(found) for name, found in sources.items()},
        delayed=delayed,
        units=units,
        loops=frozenset(looped),
    )


def in_flow_order(names: Iterable[str], sources: Sources) -> tuple[str, ...]:
    """`names`, each behind its sources as far as there are no loops."""
    places = {name: place for place, name in enumerate(names)}
    missing = {name: {s for s in sources[name] if s in places and s != name} for name in places}
    targets = _ends(places, ((s, name) for name, found in missing.items() for s in found))
    rest = iter(places)
    order: dict[str, None] = {}
    ready = [name for name in places if not missing[name]]
    while len(order) < len(places):
        ready = ready or [next(name for name in rest if name not in order)]
        order.update(dict.fromkeys(ready))
        for name in ready:
            for target in targets[name]:
                missing[target].discard(name)
        found = {target for name in ready for target in targets[name] if not missing[target]}
        ready = sorted(found - order.keys(), key=places.__getitem__)
    return tuple(order)


def _ends(names: Iterable[str], edges: Iterable[Edge]) -> dict[str, list[str]]:
    ends: dict[str, list[str]] = {name: [] for name in names}
    for start, end in edges:
        ends[start].append(end)
    return ends


def _without(sources: Sources, edges: Iterable[Edge]) -> dict[str, list[str]]:
    left_out = set(edges)
    return {
        name: [source for source in found if (source, name) not in left_out]
        for name, found in sources.items()
    }


def _walk(targets: Sources, starts: Iterable[str]) -> tuple[set[Edge], list[str]]:
    """Edges that lead back to a node on the way to them, and the nodes in order of completion."""
    closing: set[Edge] = set()
    finished: dict[str, None] = {}
    way: dict[str, list[str]] = {}  # nodes on the way to the present one, with what is left to do
    for start in starts:
        if start not in finished:
            way[start] = sorted(targets[start], reverse=True)
        while way:
            here = next(reversed(way))
            if not way[here]:
                finished[here] = None
                del way[here]
                continue
            target = way[here].pop()
            if target in way:
                closing.add((here, target))
            elif target not in finished:
                way[target] = sorted(targets[target], reverse=True)
    return closing, list(finished)


def _components(finished: Sequence[str], sources: Sources) -> dict[str, int]:
    """Number of the strongly connected component of each node."""
    found: dict[str, int] = {}
    for number, root in enumerate(reversed(finished)):
        waiting = [root]
        while waiting:
            name = waiting.pop()
            if name not in found:
                found[name] = number
                waiting.extend(sources[name])
    return found


@dataclass(frozen=True)
class _Wiring:
    graph: nir.NIRGraph
    sources: Sources
    targets: Sources
    inputs: Sequence[str]
    components: Mapping[str, int]

    def _has_state(self, name: str) -> bool:
        return isinstance(self.graph.nodes[name], STATEFUL)

    def check_loops(self) -> None:
        """Refuse a loop of nodes without state: walking back from a waiting node ends in one."""
        left = {name for name in self.graph.nodes if not self._has_state(name)}
        inner = {name: [s for s in self.sources[name] if s in left] for name in left}
        while ready := {name for name in left if not left.intersection(inner[name])}:
            left = left - ready
        if not left:
            return
        walk = [min(left)]
        while walk[-1] not in walk[:-1]:
            walk.append(next(source for source in inner[walk[-1]] if source in left))
        loop = list(reversed(walk[walk.index(walk[-1]) :]))
        path = " -> ".join(repr(name) for name in loop)
        raise NIRGraphError(
            f"the loop {path} has no node with state, so nothing delays its signal; "
            "put a neuron or a Delay into it"
        )

    def _stated(self) -> set[Edge]:
        return {
            (source, name)
            for name, node in self.graph.nodes.items()
            if isinstance(entry := record_of(node).get(DELAYED), Mapping)
            for source in entry
            if source in self.sources[name]
        }

    def delayed(self, cut: str) -> frozenset[Edge]:
        stated = self._stated()
        within_step = {
            name: [t for t in found if (name, t) not in stated]
            for name, found in self.targets.items()
        }
        closing, _ = _walk(within_step, [*self.inputs, *sorted(within_step)])
        if cut == "current":
            return frozenset(closing | stated)
        found: set[Edge] = set()
        waiting = list(closing)
        seen = closing | stated
        while waiting:
            source, target = waiting.pop()
            if self._has_state(source):
                found.add((source, target))
                continue
            own = self.components[source]
            before = {(s, source) for s in self.sources[source] if self.components[s] == own}
            waiting += before - seen
            seen |= before
        return frozenset(found | stated)

    def units(self, names: Sequence[str], delayed: frozenset[Edge]) -> tuple[tuple[str, ...], ...]:
        members: dict[int, list[str]] = {}
        for name in names:
            members.setdefault(self.components[name], []).append(name)
        now = _without(self.sources, delayed)
        units: dict[str, tuple[str, ...]] = {}  # by the first name, which stands for the unit
        for found in members.values():
            inner = set(found)
            within = {name: [s for s in now[name] if s in inner] for name in found}
            units[found[0]] = in_flow_order(found, within)
        head = {name: members[self.components[name]][0] for name in names}
        between = {
            first: [head[s] for name in unit for s in self.sources[name] if head[s] != first]
            for first, unit in units.items()
        }
        return tuple(units[first] for first in in_flow_order(units, between))
