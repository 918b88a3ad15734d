"""Laws of files that were changed at random: an error of ours that says where, or a graph."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import h5py
import nir
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import sj_nir
from sj_nir.cli import main

ODD: list[Any] = [
    -1, 0, 2**62, 1e308, np.nan, np.inf, "text", b"\xff\xfe", True, np.zeros(0), np.ones((2,) * 5),
    np.array([1 + 2j]), np.arange(3), np.array([2**40, 2**40]), np.float16(1.5), ["a", "b"],
    np.array([b"fixed", b"b"]), h5py.Empty("f4"), np.zeros(2, [("a", "i4")]), np.array([[1.0]]),
]  # fmt: skip
ENTRIES = ("dt", "reset", "fire", "v_init", "tau", "position", "delayed", "shared", "surrogate")


def ones(*names: str) -> dict[str, np.ndarray]:
    return {name: np.ones(2) for name in names}


def written(path: Path) -> Path:
    """A file with nesting, a loop, kernels and metadata."""
    inner = {
        "i": nir.Input(np.array([1, 4, 4])),
        "conv": nir.Conv2d((4, 4), np.ones((2, 1, 3, 3)), 1, 0, 1, 1, np.zeros(2)),
        "pool": nir.AvgPool2d(np.array([2, 2]), np.array([2, 2]), np.array([0, 0])),
        "flat": nir.Flatten({"input": np.array([2, 1, 1])}, 0, -1),
        "o": nir.Output(np.array([2])),
    }
    outer = {
        "input": nir.Input(np.array([1, 4, 4])),
        "sub": nir.NIRGraph(
            inner,
            [("i", "conv"), ("conv", "pool"), ("pool", "flat"), ("flat", "o")],
            type_check=False,
        ),
        "lif": nir.LIF(
            **ones("tau", "r", "v_leak", "v_threshold"), metadata={"sj_nir": {"reset": "soft"}}
        ),
        "rec": nir.Affine(np.ones((2, 2)), np.ones(2)),
        "cuba": nir.CubaLIF(**ones("tau_syn", "tau_mem", "r", "v_leak", "v_threshold")),
        "delay": nir.Delay(np.array([0.0, 1e-3])),
        "output": nir.Output(np.array([2])),
    }
    way = ["input", "sub", "lif", "rec", "lif", "cuba", "delay", "output"]
    graph = nir.NIRGraph(outer, list(pairwise(way)), type_check=False)
    sj_nir.write_graph(path, graph)
    return path


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    file = written(tmp_path_factory.mktemp("damaged") / "whole.nir")
    names: list[str] = []
    with h5py.File(file) as content:
        content.visit(names.append)
    return file, names


def change(content: h5py.File, name: str, how: str, odd: Any) -> None:
    """Replace, remove, rename or re-type what is under `name`."""
    item = content[name]
    if how == "entry":
        node = item if isinstance(item, h5py.Group) else item.parent
        content.require_group(f"{node.name}/metadata/sj_nir").pop(ENTRIES[odd % len(ENTRIES)], None)
        content[f"{node.name}/metadata/sj_nir/{ENTRIES[odd % len(ENTRIES)]}"] = ODD[odd]
        return
    value = item[()] if isinstance(item, h5py.Dataset) else None
    if how == "rename":
        content.move(name, f"{name}\u5c64\n")
        return
    del content[name]
    if how == "group":
        content[f"{name}/a"] = 1
    elif how == "odd":
        content[name] = ODD[odd]
    elif how == "flat" and value is not None and np.ndim(value):
        content[name] = value.reshape(-1)[: odd % 4]


def only_our_errors(work: Callable[[], Any]) -> None:
    try:
        work()
    except sj_nir.NIRError as error:
        assert str(error)


@given(st.data())
def test_every_reader_ends_with_a_graph_or_an_error_of_ours(
    whole: tuple[Path, list[str]], data: st.DataObject
) -> None:
    original, names = whole
    file = original.with_name("changed.nir")
    shutil.copy(original, file)
    steps = st.tuples(
        st.sampled_from(names),
        st.sampled_from(["odd", "odd", "entry", "remove", "rename", "group", "flat"]),
        st.integers(0, len(ODD) - 1),
    )
    with h5py.File(file, "r+") as content:
        for step in data.draw(st.lists(steps, min_size=1, max_size=2)):
            try:
                change(content, *step)
            except (KeyError, ValueError, TypeError):  # what is not there any more
                continue
    try:
        graph = sj_nir.read_graph(file)
    except sj_nir.NIRError as error:
        assert str(error)
        return
    only_our_errors(lambda: sj_nir.import_from_nir(graph))
    only_our_errors(lambda: sj_nir.interpret(graph, np.ones((2, 1, 1, 4, 4))))
    with contextlib.suppress(SystemExit):
        main(["info", str(file)])
