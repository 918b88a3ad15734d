"""Places for boxes in layers from top to bottom, sources above targets.

Layered drawing after Sugiyama, Tagawa, Toda, "Methods for visual understanding of hierarchical
system structures", IEEE Trans. SMC 1981: longest path, barycentres for the order within a layer,
then positions as near to the neighbours as the order allows. An edge over several layers gets a
bend in each layer between; edges of `back` run on the right and only pull their ends there.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

__all__ = ["Layout", "place"]

Edge = tuple[str, str]
Item = tuple[str, ...]  # (name,) of a box, (source, target, layer) of a bend
GAP = 28.0
SWEEPS = 8


@dataclass(frozen=True)
class Layout:
    """Where things are.

    Attributes:
        layers: layer of each box, 0 at the top.
        x: horizontal centre of each box.
        bends: horizontal positions of each edge in the layers between its ends.
    """

    layers: dict[str, int]
    x: dict[str, float]
    bends: dict[Edge, list[float]]


def place(widths: Mapping[str, float], edges: Sequence[Edge], back: Collection[Edge]) -> Layout:
    """Lay out boxes of these widths; without the edges of `back` there must be no loop."""
    forward = [edge for edge in edges if edge not in back]
    layers = _layers(widths, forward)
    items: list[list[Item]] = [[] for _ in range(max(layers.values()) + 1)]
    for name, layer in layers.items():
        items[layer].append((name,))
    above: dict[Item, list[Item]] = {}
    below: dict[Item, list[Item]] = {}
    paths: dict[Edge, list[Item]] = {}
    for source, target in forward:
        bends: list[Item] = [
            (source, target, str(layer)) for layer in range(layers[source] + 1, layers[target])
        ]
        for layer, bend in enumerate(bends, start=layers[source] + 1):
            items[layer].append(bend)
        paths[source, target] = bends
        chain: list[Item] = [(source,), *bends, (target,)]
        for upper, lower in pairwise(chain):
            below.setdefault(upper, []).append(lower)
            above.setdefault(lower, []).append(upper)
    _order(items, above, below, {name for edge in back for name in edge})
    width = {item: widths[item[0]] if len(item) == 1 else 0.0 for row in items for item in row}
    x = _positions(items, above, below, width)
    return Layout(
        layers,
        {name: x[(name,)] for name in widths},
        {edge: [x[bend] for bend in bends] for edge, bends in paths.items()},
    )


def _layers(names: Mapping[str, float], edges: Sequence[Edge]) -> dict[str, int]:
    """The length of the longest path to each box."""
    targets: dict[str, list[str]] = {name: [] for name in names}
    waiting = dict.fromkeys(names, 0)
    for source, target in edges:
        targets[source].append(target)
        waiting[target] += 1
    layers = dict.fromkeys((name for name, count in waiting.items() if not count), 0)
    ready = list(layers)
    for name in ready:  # grows on the way
        for target in targets[name]:
            layers[target] = max(layers.get(target, 0), layers[name] + 1)
            waiting[target] -= 1
            if not waiting[target]:
                ready.append(target)
    return {name: layers[name] for name in sorted(names, key=layers.__getitem__)}


def _order(
    rows: list[list[Item]],
    above: Mapping[Item, list[Item]],
    below: Mapping[Item, list[Item]],
    to_the_right: Collection[str],
) -> None:
    rank = {item: place for row in rows for place, item in enumerate(row)}
    for sweep in range(SWEEPS):
        neighbours = above if sweep % 2 == 0 else below
        for row in rows if sweep % 2 == 0 else rows[::-1]:
            keys: dict[Item, tuple[float, bool]] = {}
            for item in row:
                found = [rank[other] for other in neighbours.get(item, [])] or [rank[item]]
                keys[item] = (sum(found) / len(found), item[0] in to_the_right)
            row.sort(key=keys.__getitem__)
            rank.update(zip(row, range(len(row)), strict=True))


def _positions(
    rows: list[list[Item]],
    above: Mapping[Item, list[Item]],
    below: Mapping[Item, list[Item]],
    width: Mapping[Item, float],
) -> dict[Item, float]:
    x: dict[Item, float] = {}
    for row in rows:
        for item, offset in zip(row, _offsets(row, width), strict=True):
            x[item] = offset - _offsets(row, width)[-1] / 2
    for sweep in range(2 * SWEEPS):
        for row in rows if sweep % 2 == 0 else rows[::-1]:
            wanted: list[float] = []
            for item in row:
                found = [*above.get(item, []), *below.get(item, [])]
                wanted.append(sum(x[other] for other in found) / len(found) if found else x[item])
            x.update(zip(row, _apart(wanted, _offsets(row, width)), strict=True))
    return x


def _offsets(row: list[Item], width: Mapping[Item, float]) -> list[float]:
    """Centres of the items of a row packed from the left."""
    centres: list[float] = []
    edge = 0.0
    for item in row:
        centres.append(edge + width[item] / 2)
        edge += width[item] + GAP
    return centres


def _apart(wanted: list[float], offsets: list[float]) -> list[float]:
    """Positions nearest to `wanted` that keep the distances of `offsets` (least squares)."""
    blocks: list[tuple[float, int]] = []  # sum and count of values that share one shift
    for position, offset in zip(wanted, offsets, strict=True):
        total, count = position - offset, 1
        while blocks and blocks[-1][0] / blocks[-1][1] > total / count:
            before, more = blocks.pop()
            total, count = total + before, count + more
        blocks.append((total, count))
    shifts = [total / count for total, count in blocks for _ in range(count)]
    return [shift + offset for shift, offset in zip(shifts, offsets, strict=True)]
