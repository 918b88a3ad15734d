"""What the forward sweep must remember of a step so that the backward sweep can do without it.

The adjoint step uses some values of its step. They follow from any set of nodes that separates them
from the step's inputs: a vertex cut of the graph, the smallest of which is what is kept. The input
x is in memory anyway, so it is all but free; numbers and parameters are free.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Sequence

from .differentiate import Adjoint
from .graph import Node

__all__ = ["smallest_cut"]

_INPUT = 1  # reading x again; less than any value kept, more than nothing
_KEPT = 1000
_ANEW = 3000
_ENDLESS = 10**9


def smallest_cut(adjoint: Adjoint, dear: Collection[int] = ()) -> tuple[tuple[int, ...], bool]:
    """The nodes whose values are kept for each step, and whether x is read again.

    The cut nearest to the adjoint step is chosen among the smallest, so that the least is computed
    anew. To compute a node of `dear` anew counts as much as to keep three values.
    """
    nodes = adjoint.graph.nodes[: adjoint.primal]
    moving = _moving(nodes)
    needed = adjoint.needed() & moving
    reached = [i for i in adjoint.graph.reached_from(needed, values=True) if i in moving]
    network = _Network()
    for i in reached:
        node = nodes[i]
        is_x = node.op == "input" and node.value == "x"
        # truth values cannot be kept in a tile of numbers
        weight = _ENDLESS if node.is_truth else _INPUT if is_x else _KEPT
        network.connect(("in", i), ("out", i), weight)
        for j in node.args[:1] if node.op == "fire" else node.args:
            if j in moving:
                network.connect(("out", j), ("in", i), _ENDLESS)
        if node.op == "input":
            network.connect("source", ("in", i), _ENDLESS)
        elif i in dear:
            network.connect("source", ("in", i), _ANEW)
        if i in needed:
            network.connect(("out", i), "sink", _ENDLESS)
    reaching_sink = network.saturate()
    cut = [i for i in reached if ("in", i) not in reaching_sink and ("out", i) in reaching_sink]
    again = [i for i in cut if nodes[i].op == "input" and nodes[i].value == "x"]
    return tuple(i for i in cut if i not in again), bool(again)


def _moving(nodes: Sequence[Node]) -> set[int]:
    """Nodes whose value changes from step to step, with the input or a state."""
    moving: set[int] = set()
    for index, node in enumerate(nodes):
        varies = node.op == "input" and str(node.value)[0] in "xv"
        if varies or any(i in moving for i in node.args):
            moving.add(index)
    return moving


class _Network:
    """A flow network, filled by shortest augmenting paths."""

    def __init__(self) -> None:
        self.room: dict[object, dict[object, int]] = {"source": {}, "sink": {}}

    def connect(self, a: object, b: object, capacity: int) -> None:
        self.room.setdefault(a, {}).setdefault(b, 0)
        self.room.setdefault(b, {}).setdefault(a, 0)
        self.room[a][b] += capacity

    def saturate(self) -> set[object]:
        """Push all flow there is; returns what can still reach the sink."""
        while (path := self._path()) is not None:
            width = min(self.room[a][b] for a, b in path)
            for a, b in path:
                self.room[a][b] -= width
                self.room[b][a] += width
        reaching: set[object] = {"sink"}
        queue: deque[object] = deque(reaching)
        while queue:
            b = queue.popleft()
            for a in self.room[b]:
                if a not in reaching and self.room[a][b] > 0:
                    reaching.add(a)
                    queue.append(a)
        return reaching

    def _path(self) -> list[tuple[object, object]] | None:
        origin: dict[object, object] = {"source": None}
        queue: deque[object] = deque(["source"])
        while queue:
            a = queue.popleft()
            if a == "sink":
                path: list[tuple[object, object]] = []
                while origin[a] is not None:
                    path.append((origin[a], a))
                    a = origin[a]
                return path
            for b, room in self.room[a].items():
                if room > 0 and b not in origin:
                    origin[b] = a
                    queue.append(b)
        return None
