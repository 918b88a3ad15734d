"""A NIR graph in the making: nodes with names of their own, edges, and loops that close later."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import nir

from .errors import NIRGraphError, NotSupportedError
from .metadata import FORMAT, KEY
from .nesting import SEPARATOR
from .topology import DELAYED, Edge, analyse

__all__ = ["Draft"]


class Draft:
    """Collects nodes and edges; a name that opens a loop stands for nodes that are added later."""

    def __init__(self) -> None:
        self.nodes: dict[str, nir.NIRNode] = {}
        self.edges: list[Edge] = []
        self._opened: dict[str, tuple[str, ...]] = {}

    def add(self, name: str, node: nir.NIRNode, sources: Iterable[str] = ()) -> str:
        """Add a node; returns the name that it got."""
        name = name.replace(SEPARATOR, "_") or "_"
        while name in self.nodes:
            name += "_"
        self.nodes[name] = node
        self.edges.extend((source, name) for source in sources)
        return name

    def open(self) -> str:
        """A name for a value that comes back from later nodes."""
        name = f"{SEPARATOR}{len(self._opened)}"
        self._opened[name] = ()
        return name

    def close(self, opened: str, value: tuple[str, ...]) -> None:
        """Say that the name `opened` stands for `value` at the step before."""
        self._opened[opened] = value

    def finished(self, dt: float) -> nir.NIRGraph:
        """The graph; where its loops delay is in the metadata if a reader would guess wrong.

        Raises:
            NotSupportedError: a loop that NIR cannot express.
        """
        edges: dict[Edge, bool] = {}
        for source, target in self.edges:
            for name, delayed in self._resolved(source):
                if edges.setdefault((name, target), delayed) != delayed:
                    raise NotSupportedError(
                        f"node {target!r} takes {name!r} both of this step and of the step before"
                    )
        delays = {edge for edge, delayed in edges.items() if delayed}
        record = {KEY: {"format": FORMAT, "dt": dt}}
        graph = nir.NIRGraph(self.nodes, list(edges), metadata=record, type_check=False)
        if delays:
            _state_delays(graph, delays)
        return graph

    def _resolved(self, source: str, delayed: bool = False) -> list[tuple[str, bool]]:
        if source not in self._opened:
            return [(source, delayed)]
        if delayed:
            raise NotSupportedError("a loop with more than one step of delay")
        return [found for name in self._opened[source] for found in self._resolved(name, True)]


def _state_delays(graph: nir.NIRGraph, delays: set[Edge]) -> None:
    try:
        guessed = analyse(graph, "neuron").delayed
    except NIRGraphError as error:
        raise NotSupportedError(f"NIR cannot express a loop of the network: {error}") from error
    if guessed == delays:
        return
    for source, target in sorted(delays):
        node: Any = graph.nodes[target]
        metadata = node.metadata if isinstance(node.metadata, dict) else {}
        record = metadata.get(KEY, {})
        entry = {**record.get(DELAYED, {}), source: 1}
        node.metadata = {**metadata, KEY: {**record, DELAYED: entry}}
