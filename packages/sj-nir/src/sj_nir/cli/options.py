"""Options that several commands share, and what they find in a file beside the graph."""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import Any

import h5py
import nir

from ..errors import NIRError
from ..interpreter import Program, compile_graph
from ..interpreter.rule import DEFAULT_DT, recorded_dt

__all__ = [
    "InputError",
    "add_dt",
    "dt_of",
    "nodes_without_reset",
    "output_path",
    "program_for_any_dt",
    "seconds",
    "version_of",
]

SHORTEST_STEP = 1e-12  # seconds; no time constant is shorter


class InputError(NIRError):
    """An argument or a data file that does not fit the graph."""


def seconds(text: str) -> float:
    """A positive number, for argparse."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (value > 0 and math.isfinite(value)):
        raise argparse.ArgumentTypeError(f"needs a positive number of seconds, got {text!r}")
    return value


def add_dt(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--dt",
        type=seconds,
        help="seconds per step (default: what the graph's metadata say, else 0.0001)",
    )


def dt_of(graph: nir.NIRGraph, given: float | None) -> float:
    """The seconds per step that a command works with."""
    return given or recorded_dt(graph) or DEFAULT_DT


def program_for_any_dt(graph: nir.NIRGraph) -> Program:
    """The graph checked in every respect but its time constants against a dt."""
    return compile_graph(graph, SHORTEST_STEP)


def output_path(text: str, *suffixes: str) -> Path:
    """A path that can be written, as far as its name and folder tell.

    Raises:
        InputError: another suffix, no such folder.
    """
    path = Path(text)
    if suffixes and path.suffix.lower() not in suffixes:
        raise InputError(f"{path}: expected a name that ends in {' or '.join(suffixes)}")
    if not path.parent.is_dir():
        raise InputError(f"{path}: the folder {path.parent} does not exist")
    return path


def version_of(path: str) -> str | None:
    """The version of the library that wrote the file, where it says so; the file is known good."""
    with h5py.File(path, "r") as file:
        stored: Any = file.get("version")
        if not isinstance(stored, h5py.Dataset) or stored.shape != ():
            return None
        value: Any = stored[()]
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def nodes_without_reset(path: str) -> list[str]:
    """Neurons without `v_reset`, as files older than nir 1.0.6 have them."""
    found: list[str] = []

    def visit(group: Any, prefix: str) -> None:
        for name, node in group["nodes"].items():
            kind = node["type"][()]
            if kind == b"NIRGraph":
                visit(node, f"{prefix}{name}/")
            elif kind in (b"IF", b"LIF", b"CubaLIF") and "v_reset" not in node:
                found.append(prefix + name)

    with h5py.File(path, "r") as file:
        visit(file["node"], "")
    return found
