"""A graph without nested graphs: their nodes are named `OUTER/INNER`.

The Inputs and Outputs of nested graphs, here called gates, pass values on; edges lead past them. An
edge to or from a nested graph means its one Input or Output, or names one of several: `OUTER.PORT`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

import nir

from ..errors import NIRGraphError

__all__ = ["FlatGraph", "flatten", "listed"]

Edge = tuple[str, str]
DEEPEST = 50
MOST_EDGES = 1 << 16  # past gates, which may double them at every level


@dataclass(frozen=True)
class FlatGraph:
    """Nodes and wiring.

    Attributes:
        nodes: all nodes but gates.
        sources, targets: of each node, in the order of the edges; one may occur several times.
        inputs, outputs: names of the outermost Inputs and Outputs.
        gates: Inputs and Outputs of nested graphs.
        gate_sources: the nodes that feed each gate.
    """

    nodes: dict[str, nir.NIRNode]
    sources: dict[str, list[str]]
    targets: dict[str, list[str]]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    gates: dict[str, nir.NIRNode]
    gate_sources: dict[str, list[str]]

    @property
    def edges(self) -> Iterator[Edge]:
        return ((source, name) for name in self.nodes for source in self.sources[name])


def flatten(graph: nir.NIRGraph) -> FlatGraph:
    """Take nested graphs apart and check the wiring.

    Raises:
        NIRGraphError: an edge from or to nowhere, given twice, into an Input or out of an Output; a
            node that gets nothing or feeds nothing; no Input or no Output; an edge that does not
            say which Input or Output of a nested graph it means. Names node or edge.
    """
    nodes: dict[str, nir.NIRNode] = {}
    edges: list[Edge] = []
    _collect(graph, "", nodes, edges)
    gates: dict[str, nir.NIRNode] = {
        name: node
        for name, node in nodes.items()
        if isinstance(node, nir.Input | nir.Output) and name not in graph.nodes
    }
    feeding: dict[str, list[str]] = {name: [] for name in nodes}
    for source, target in edges:
        feeding[target].append(source)
    sources = _past_gates(feeding, gates)
    targets: dict[str, list[str]] = {name: [] for name in nodes if name not in gates}
    for name in targets:
        for source in sources[name]:
            targets[source].append(name)
    return FlatGraph(
        {name: nodes[name] for name in targets},
        {name: sources[name] for name in targets},
        targets,
        inputs=_of_kind(graph, nir.Input),
        outputs=_of_kind(graph, nir.Output),
        gates=gates,
        gate_sources={name: sources[name] for name in gates},
    )


def _past_gates(feeding: dict[str, list[str]], gates: Collection[str]) -> dict[str, list[str]]:
    """The sources of all nodes, and in place of gates theirs."""
    found: dict[str, list[str]] = {}
    edges = 0
    for name in (*_fed_first(feeding, gates), *(name for name in feeding if name not in gates)):
        found[name] = []
        for source in feeding[name]:
            found[name] += found[source] if source in gates else [source]
            edges += len(found[source]) if source in gates else 0
            if edges > MOST_EDGES:
                raise NIRGraphError(
                    f"edges through it multiply to more than {MOST_EDGES}", node=source
                )
    return found


def _fed_first(feeding: dict[str, list[str]], gates: Collection[str]) -> list[str]:
    """The gates, each behind those that feed it."""
    waiting = {name: sum(source in gates for source in feeding[name]) for name in gates}
    fed: dict[str, list[str]] = {name: [] for name in gates}
    for name in gates:
        for source in feeding[name]:
            if source in gates:
                fed[source].append(name)
    order = [name for name, count in waiting.items() if not count]
    for name in order:  # grows on the way
        for target in fed[name]:
            waiting[target] -= 1
            if not waiting[target]:
                order.append(target)
    if len(order) < len(waiting):
        loop = _loop(feeding, waiting)
        raise NIRGraphError(f"the loop {loop} has no node with state; put a neuron into it")
    return order


def _loop(feeding: dict[str, list[str]], waiting: dict[str, int]) -> str:
    """A loop among the gates that still wait, walked backwards."""
    walk = [next(name for name, count in waiting.items() if count)]
    while walk[-1] not in walk[:-1]:
        walk.append(next(source for source in feeding[walk[-1]] if waiting.get(source)))
    start = walk.index(walk[-1])
    return " -> ".join(repr(name) for name in reversed(walk[start:]))


def _collect(
    graph: nir.NIRGraph, prefix: str, nodes: dict[str, nir.NIRNode], edges: list[Edge]
) -> None:
    if prefix.count("/") > DEEPEST:
        raise NIRGraphError(f"is nested more than {DEEPEST} deep", node=prefix[:-1])
    own = [(str(source), str(target)) for source, target in graph.edges]
    _check(graph, own, prefix)
    for name, node in graph.nodes.items():
        if "/" in name:
            raise NIRGraphError("a name must not contain '/'", node=prefix + name)
        if isinstance(node, nir.NIRGraph):
            _collect(node, f"{prefix}{name}/", nodes, edges)
        else:
            nodes[prefix + name] = node
    edges.extend(
        (prefix + _port(graph, a, nir.Output, prefix), prefix + _port(graph, b, nir.Input, prefix))
        for a, b in own
    )


def _of_kind(graph: nir.NIRGraph, kind: type[nir.NIRNode]) -> tuple[str, ...]:
    return tuple(name for name, node in graph.nodes.items() if isinstance(node, kind))


def _owner(graph: nir.NIRGraph, end: str) -> tuple[str, str | None] | None:
    """The node that the end of an edge names, and the port of a nested graph."""
    if end in graph.nodes:
        return end, None
    for name, node in graph.nodes.items():
        port = end.removeprefix(f"{name}.")
        if isinstance(node, nir.NIRGraph) and port != end and port in node.nodes:
            return name, port
    return None


def _port(graph: nir.NIRGraph, end: str, kind: type[nir.NIRNode], prefix: str) -> str:
    name, port = _owner(graph, end) or (end, None)
    node = graph.nodes[name]
    if not isinstance(node, nir.NIRGraph):
        return name
    ports = _of_kind(node, kind)
    if port is not None and port not in ports:
        raise NIRGraphError(
            f"an edge names its node {port!r}, which is no {kind.__name__}", node=prefix + name
        )
    first, *others = ports
    if port is None and others:
        choices = " or ".join(repr(f"{name}.{port}") for port in ports)
        raise NIRGraphError(
            f"has several {kind.__name__} nodes, so edges must say which: {choices}",
            node=prefix + name,
        )
    return f"{name}/{first if port is None else port}"


def _check(graph: nir.NIRGraph, edges: list[Edge], prefix: str) -> None:
    nested = prefix[:-1] or None
    known: set[Edge] = set()
    fed: set[str] = set()
    used: set[str] = set()
    for source, target in edges:
        for end, ends in ((source, used), (target, fed)):
            owner = _owner(graph, end)
            if owner is None:
                raise NIRGraphError(
                    f"edge {source!r} -> {target!r}: there is no node {end!r}; "
                    f"the nodes are {listed(graph.nodes)}",
                    node=nested,
                )
            name, _ = owner
            ends.add(name)
        if (source, target) in known:
            raise NIRGraphError(
                f"edge {source!r} -> {target!r} is given more than once", node=nested
            )
        known.add((source, target))
    for kind in (nir.Input, nir.Output):
        if not _of_kind(graph, kind):
            raise NIRGraphError(f"the graph has no {kind.__name__} node", node=nested)
    _check_use(graph, fed, used, prefix)


def _check_use(graph: nir.NIRGraph, fed: set[str], used: set[str], prefix: str) -> None:
    for name, node in graph.nodes.items():
        path = prefix + name
        if isinstance(node, nir.Input) and name in fed:
            raise NIRGraphError("an Input cannot be the target of an edge", node=path)
        if isinstance(node, nir.Output) and name in used:
            raise NIRGraphError("an Output cannot be the source of an edge", node=path)
        if not isinstance(node, nir.Input) and name not in fed:
            raise NIRGraphError("nothing feeds it: add an edge to it, or remove it", node=path)
        if not isinstance(node, nir.Output) and name not in used:
            raise NIRGraphError("it feeds nothing: add an edge from it, or remove it", node=path)


def listed(names: Iterable[str], most: int = 12) -> str:
    """Names for a message, the first few of them."""
    known = [repr(name) for name in names]
    return ", ".join(known[:most]) + (", ..." if len(known) > most else "")
