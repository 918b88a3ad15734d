"""The picture as SVG text: boxes for nodes, arrows for edges, dashed where a loop closes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any
from unicodedata import combining, east_asian_width
from xml.sax.saxutils import escape

import nir
import numpy as np

from ..errors import NIRError
from ..files import read_graph
from ..interpreter import FlatGraph, Rule, flatten
from ..interpreter.program import Program
from ..interpreter.schedule import schedule
from .layout import Layout, place

__all__ = ["to_svg"]

LETTER = 7.3  # width of a character of the monospace font at 12 px
LINE, PAD, RISE, MARGIN = 16.0, 8.0, 38.0, 20.0
SHORTEST_STEP = 1e-12  # seconds: no time constant is shorter, so that only shapes are checked

_COLOURS: dict[tuple[type[nir.NIRNode], ...], tuple[str, str]] = {
    (nir.Input, nir.Output): ("#eceff1", "#607d8b"),
    (nir.Affine, nir.Linear, nir.Conv1d, nir.Conv2d, nir.Scale): ("#e3f2fd", "#1e6fb8"),
    (nir.I, nir.IF, nir.LI, nir.LIF, nir.CubaLI, nir.CubaLIF, nir.Threshold): (
        "#fff3e0",
        "#d9730d",
    ),
}
_TEXT = ('fill="#1b2429" font-weight="bold"', 'fill="#55646c"')  # the name, other lines
_OTHER = ("#eef6ea", "#4f8a3c")


@dataclass(frozen=True)
class _Box:
    lines: tuple[str, ...]
    fill: str
    stroke: str

    @property
    def width(self) -> float:
        return max(map(_columns, self.lines)) * LETTER + 2 * PAD

    @property
    def height(self) -> float:
        return len(self.lines) * LINE + 2 * PAD


def to_svg(graph: nir.NIRGraph | str | os.PathLike[str]) -> str:
    """Draw a graph from top to bottom; nodes of nested graphs are named `OUTER/INNER`.

    Raises:
        NIRGraphError: edges that cannot be drawn: from or to nowhere, a loop without state.
        NIRError, OSError: the file cannot be read.
    """
    flat = flatten(graph if isinstance(graph, nir.NIRGraph) else read_graph(graph))
    back = schedule(flat, "current").delayed
    boxes = _boxes(flat)
    edges = list(dict.fromkeys(flat.edges))
    layout = place({name: box.width for name, box in boxes.items()}, edges, back)
    return _Picture(boxes, layout, edges, back).text()


def _boxes(flat: FlatGraph) -> dict[str, _Box]:
    try:
        rule = Rule.of(nir.NIRGraph({}, [], type_check=False), SHORTEST_STEP)
        shapes = Program(flat, rule).shapes
    except NIRError:  # a picture helps to find what is wrong
        shapes = {}
    boxes: dict[str, _Box] = {}
    for name, node in flat.nodes.items():
        kinds = (colours for kinds, colours in _COLOURS.items() if isinstance(node, kinds))
        lines = [_shown(name), _described(node)]
        if name in shapes:
            lines.append("x".join(map(str, shapes[name])) or "one number")
        boxes[name] = _Box(tuple(lines), *next(kinds, _OTHER))
    return boxes


def _described(node: nir.NIRNode) -> str:
    """The class and, for kernels, their sizes."""
    kind = type(node).__name__
    if isinstance(node, nir.Conv1d | nir.Conv2d):
        size = [str(i) for i in np.shape(node.weight)[2:]]
    elif isinstance(node, nir.SumPool2d | nir.AvgPool2d):
        size = _texts(node.kernel_size)
        size *= 2 if len(size) == 1 else 1
    else:
        return kind
    stride = _texts(node.stride)
    stride = stride[:1] if len(set(stride)) == 1 else stride
    return f"{kind} {'x'.join(size)}" + ("" if stride == ["1"] else f" /{'x'.join(stride)}")


def _texts(numbers: Any) -> list[str]:
    return [str(i) for i in np.ravel(numbers).tolist()]


def _shown(text: str) -> str:
    """Text for a label: control characters, which XML cannot hold, as escapes."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def _columns(text: str) -> int:
    """Characters of a monospace font that the text is wide."""
    return sum(0 if combining(c) else 2 if east_asian_width(c) in ("W", "F") else 1 for c in text)


class _Picture:
    def __init__(
        self,
        boxes: dict[str, _Box],
        layout: Layout,
        edges: Sequence[tuple[str, str]],
        back: frozenset[tuple[str, str]],
    ) -> None:
        self.boxes, self.layout, self.edges, self.back = boxes, layout, edges, back
        heights = [0.0] * (max(layout.layers.values()) + 1)
        for name, box in boxes.items():
            layer = layout.layers[name]
            heights[layer] = max(heights[layer], box.height)
        tops = [MARGIN]
        for height in heights:
            tops.append(tops[-1] + height + RISE)
        self.middles = [top + height / 2 for top, height in zip(tops, heights, strict=False)]
        self.height = tops[-1] - RISE + MARGIN
        self.right = max(layout.x[name] + box.width / 2 for name, box in boxes.items())
        bends = [x for found in layout.bends.values() for x in found]
        self.left = min(*bends, *(layout.x[n] - b.width / 2 for n, b in boxes.items()), 0.0)
        self.right = max([self.right, *bends])

    def text(self) -> str:
        arrows = [
            self._returning(edge, number)
            for number, edge in enumerate(edge for edge in self.edges if edge in self.back)
        ]
        room = 26.0 * (len(arrows) + 1) if arrows else 0.0
        width = self.right - self.left + 2 * MARGIN + room
        left = self.left - MARGIN
        return "\n".join(
            [
                f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" '
                f'height="{self.height:.0f}" viewBox="{left:.1f} 0 {width:.1f} {self.height:.1f}" '
                'font-family="DejaVu Sans Mono, Menlo, Consolas, monospace" font-size="12">',
                '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" '
                'markerHeight="8" orient="auto"><path d="M0,0.5 L7.5,4 L0,7.5 z" fill="#455a64"/>'
                "</marker></defs>",
                f'<rect x="{left:.1f}" y="0" width="100%" height="100%" fill="#ffffff"/>',
                '<g fill="none" stroke="#455a64" stroke-width="1.3" marker-end="url(#tip)">',
                *(self._forward(edge) for edge in self.edges if edge not in self.back),
                "</g>",
                '<g fill="none" stroke="#b0413e" stroke-width="1.3" stroke-dasharray="5 3">',
                *arrows,
                "</g>",
                *(self._box(name, box) for name, box in self.boxes.items()),
                "</svg>\n",
            ]
        )

    def _box(self, name: str, box: _Box) -> str:
        x, y = self.layout.x[name], self.middles[self.layout.layers[name]]
        left, top = x - box.width / 2, y - box.height / 2
        rows = "".join(
            f'<text x="{x:.1f}" y="{top + PAD + LINE * (row + 0.78):.1f}" text-anchor="middle" '
            f"{_TEXT[row > 0]}>{escape(line)}</text>"
            for row, line in enumerate(box.lines)
        )
        return (
            f'<g><rect x="{left:.1f}" y="{top:.1f}" width="{box.width:.1f}" '
            f'height="{box.height:.1f}" rx="6" fill="{box.fill}" stroke="{box.stroke}"/>{rows}</g>'
        )

    def _forward(self, edge: tuple[str, str]) -> str:
        source, target = edge
        first = self.layout.layers[source]
        points = [(self.layout.x[source], self.middles[first] + self.boxes[source].height / 2)]
        points += [
            (x, self.middles[layer])
            for layer, x in enumerate(self.layout.bends[edge], start=first + 1)
        ]
        last = self.middles[self.layout.layers[target]] - self.boxes[target].height / 2
        points.append((self.layout.x[target], last))
        path = f"M{points[0][0]:.1f},{points[0][1]:.1f}"
        for (x0, y0), (x1, y1) in pairwise(points):
            half = (y1 - y0) / 2
            path += f" C{x0:.1f},{y0 + half:.1f} {x1:.1f},{y1 - half:.1f} {x1:.1f},{y1:.1f}"
        return f'<path d="{path}"/>'

    def _returning(self, edge: tuple[str, str], number: int) -> str:
        """An arrow that runs beside everything, from the right of one box to that of another."""
        ends: list[tuple[float, float]] = []
        for name, shift in zip(edge, (6.0, -6.0), strict=True):
            right = self.layout.x[name] + self.boxes[name].width / 2
            ends.append((right, self.middles[self.layout.layers[name]] + shift))
        (x0, y0), (x1, y1) = ends
        lane = self.right + 26.0 * (number + 1)
        turn = min(12.0, abs(y0 - y1) / 2)
        up = turn if y1 < y0 else -turn
        path = (
            f"M{x0:.1f},{y0:.1f} H{lane - turn:.1f} Q{lane:.1f},{y0:.1f} {lane:.1f},{y0 - up:.1f} "
            f"V{y1 + up:.1f} Q{lane:.1f},{y1:.1f} {lane - turn:.1f},{y1:.1f} H{x1:.1f}"
        )
        return f'<path d="{path}" marker-end="url(#tip)"/>'
