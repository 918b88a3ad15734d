"""Pictures of graphs: everything is in them, nothing overlaps, text is escaped."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import nir
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import sj_nir
from sj_nir.drawing.layout import GAP, place
from sj_nir.drawing.svg import to_svg

SVG = "{http://www.w3.org/2000/svg}"


@st.composite
def drawings(draw: st.DrawFn) -> tuple[dict[str, float], list[tuple[str, str]]]:
    count = draw(st.integers(1, 10))
    widths = {f"n{i}": float(draw(st.integers(10, 200))) for i in range(count)}
    ends = st.tuples(st.integers(0, count - 1), st.integers(0, count - 1))
    edges = draw(st.lists(ends.filter(lambda e: e[0] < e[1]), unique=True, max_size=20))
    return widths, [(f"n{a}", f"n{b}") for a, b in edges]


@settings(deadline=None, max_examples=60)
@given(drawings())
def test_edges_go_down_and_boxes_keep_apart(
    drawing: tuple[dict[str, float], list[tuple[str, str]]],
) -> None:
    widths, edges = drawing
    back = [(b, a) for a, b in edges[::3]]
    layout = place(widths, edges + back, back)
    for source, target in edges:
        steps = layout.layers[target] - layout.layers[source]
        assert steps > 0 and len(layout.bends[source, target]) == steps - 1
    rows: dict[int, list[str]] = {}
    for name, layer in layout.layers.items():
        rows.setdefault(layer, []).append(name)
    for row in rows.values():
        row.sort(key=layout.x.__getitem__)
        for left, right in pairwise(row):
            room = layout.x[right] - layout.x[left] - (widths[left] + widths[right]) / 2
            assert room > GAP - 1e-6


def test_a_chain_is_straight() -> None:
    layout = place({"a": 30.0, "b": 80.0, "c": 50.0}, [("a", "b"), ("b", "c")], [])
    assert max(layout.x.values()) - min(layout.x.values()) < 0.01


def graph(**changes: nir.NIRNode) -> nir.NIRGraph:
    """A loop, a branch, a kernel and names that SVG must escape."""
    nodes: dict[str, nir.NIRNode] = {
        "input": nir.Input(np.array([1, 4, 4])),
        "c&<d>": nir.Conv2d((4, 4), np.ones((1, 1, 2, 2)), 2, 0, 1, 1, np.zeros(1)),
        "pool": nir.SumPool2d(np.array([2, 2]), np.array([1, 1]), np.array([0, 0])),
        "flat": nir.Flatten({"input": np.array([1, 1, 1])}, 0, -1),
        "lif": nir.IF(np.full(1, 1e4), np.ones(1)),
        "rec": nir.Linear(np.ones((1, 1))),
        "output": nir.Output(np.array([1])),
        **changes,
    }
    way = ["input", "c&<d>", "pool", "flat", "lif", "rec", "lif", "output"]
    return nir.NIRGraph(
        nodes, [*pairwise(way), ("flat", "output"), ("lif", "lif")], type_check=False
    )


def texts(picture: str) -> list[str]:
    return [str(element.text) for element in ElementTree.fromstring(picture).iter(f"{SVG}text")]


def test_everything_is_in_the_picture(tmp_path: Path) -> None:
    picture = to_svg(graph())
    root = ElementTree.fromstring(picture)
    shown = texts(picture)
    for line in ("c&<d>", "Conv2d 2x2 /2", "1x2x2", "SumPool2d 2x2", "Flatten", "IF", "1x4x4"):
        assert line in shown
    forward, back = (
        group.findall(f"{SVG}path") for group in root.findall(f"{SVG}g") if group.get("fill")
    )
    assert (len(forward), len(back)) == (7, 2)
    assert root.findall(f"{SVG}g")[1].get("stroke-dasharray")
    left, top, width, height = map(float, str(root.get("viewBox")).split())
    for numbers in re.findall(r'[^r]x="([-\d.]+)" y="([-\d.]+)" width="([\d.]+)" ', picture):
        x, y, wide = map(float, numbers)
        assert left <= x and x + wide <= left + width and top <= y <= height
    sj_nir.write_graph(tmp_path / "g.nir", graph())
    assert texts(sj_nir.to_svg(tmp_path / "g.nir"))


def test_a_graph_with_wrong_shapes_is_drawn_without_them() -> None:
    wrong: Any = nir.Linear(np.ones((1, 7)))
    shown = texts(to_svg(graph(rec=wrong)))
    assert "rec" in shown and "1x4x4" not in shown


def test_a_sample_of_one_number() -> None:
    nodes: dict[str, nir.NIRNode] = {
        "input": nir.Input(np.array([], int)),
        "output": nir.Output(np.array([], int)),
    }
    assert "one number" in texts(to_svg(nir.NIRGraph(nodes, [("input", "output")])))


def test_edges_to_nowhere_cannot_be_drawn() -> None:
    found = graph()
    found.edges.append(("lif", "z"))
    with pytest.raises(sj_nir.NIRGraphError, match="no node 'z'"):
        to_svg(found)


def test_names_with_control_characters_and_wide_ones() -> None:
    nodes: dict[str, nir.NIRNode] = {
        "a\x01\nb": nir.Input(np.array([1])),
        "\u5c64" * 20: nir.Output(np.array([1])),
    }
    picture = to_svg(nir.NIRGraph(nodes, [("a\x01\nb", "\u5c64" * 20)], type_check=False))
    assert "a\\x01\\nb" in texts(picture)
    assert any(float(width) > 280 for width in re.findall(r' width="([\d.]+)" ', picture))


def test_sizes_that_make_no_sense_are_drawn_as_they_are() -> None:
    pool: Any = nir.AvgPool2d(np.array([3, 1, 2]), np.array([2, 1]), np.array(0))
    assert "AvgPool2d 3x1x2 /2x1" in texts(to_svg(graph(pool=pool)))
