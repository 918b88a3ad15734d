"""How two graphs differ in structure and parameters; status 1 if they do."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from typing import Any

import nir
import numpy as np

from ..files import read_graph
from .info import fields_of, plain

__all__ = ["add_arguments", "differences", "execute"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("first", metavar="A", help="NIR file")
    add("second", metavar="B", help="NIR file")
    add("--rtol", type=float, default=0.0, help="relative tolerance of numbers (default: 0)")
    add("--atol", type=float, default=0.0, help="absolute tolerance of numbers (default: 0)")
    add("--metadata", action="store_true", help="compare metadata too")


def execute(args: argparse.Namespace) -> int:
    first, second = read_graph(args.first), read_graph(args.second)
    found = list(differences(first, second, args.rtol, args.atol, metadata=args.metadata))
    for line in found:
        print(line)
    return 1 if found else 0


def differences(
    first: nir.NIRGraph,
    second: nir.NIRGraph,
    rtol: float = 0.0,
    atol: float = 0.0,
    *,
    metadata: bool = False,
    prefix: str = "",
) -> Iterator[str]:
    """One line for each difference; nodes are matched by name, the order of edges says nothing."""
    for sign, ours, theirs in (("-", first, second), ("+", second, first)):
        for name, node in ours.nodes.items():
            if name not in theirs.nodes:
                yield f"{sign} node {prefix + name!r} ({type(node).__name__})"
    for name, node in first.nodes.items():
        other = second.nodes.get(name)
        path = prefix + name
        if other is None:
            continue
        if type(node) is not type(other):
            yield f"node {path!r}: {type(node).__name__}, {type(other).__name__}"
        elif isinstance(node, nir.NIRGraph) and isinstance(other, nir.NIRGraph):
            yield from differences(node, other, rtol, atol, metadata=metadata, prefix=f"{path}/")
        else:
            yield from _of_nodes(path, node, other, rtol, atol)
            if metadata:
                yield from _of_metadata(f"node {path!r}", node, other)
    edges = [{(str(a), str(b)) for a, b in graph.edges} for graph in (first, second)]
    for sign, some in (("-", edges[0] - edges[1]), ("+", edges[1] - edges[0])):
        for source, target in sorted(some):
            yield f"{sign} edge {prefix + source!r} -> {prefix + target!r}"
    if metadata:
        yield from _of_metadata(f"graph {prefix[:-1]!r}" if prefix else "graph", first, second)


def _of_nodes(
    path: str, node: nir.NIRNode, other: nir.NIRNode, rtol: float, atol: float
) -> Iterator[str]:
    theirs = fields_of(other)
    for field, value in fields_of(node).items():
        text = _of_values(value, theirs[field], rtol, atol)
        if text:
            yield f"node {path!r}, field {field!r}: {text}"


def _of_values(a: Any, b: Any, rtol: float, atol: float) -> str | None:
    if a is None or b is None or isinstance(a, str) or isinstance(b, str):
        same = isinstance(a, str) == isinstance(b, str) and (a is None) == (b is None)
        return None if same and (a is None or a == b) else f"{a!r}, {b!r}"
    x, y = np.asarray(a), np.asarray(b)
    if x.size <= 4 and x.dtype.kind in "iu" and y.dtype.kind in "iu":
        # a number stands for a pair of it
        if np.array_equal(x, y) or (1 in (x.size, y.size) and np.all(x == y)):
            return None
        return f"{x.tolist()}, {y.tolist()}"
    if x.shape != y.shape:
        return f"shape {x.shape}, {y.shape}"
    different = ~np.isclose(x, y, rtol=rtol, atol=atol, equal_nan=True)
    if not different.any():
        return None
    gap = float(np.abs(x[different].astype(np.float64) - y[different].astype(np.float64)).max())
    return f"{int(different.sum())} of {x.size} numbers differ, by at most {gap:.3g}"


def _of_metadata(where: str, first: Any, second: Any) -> Iterator[str]:
    one, two = (_flat(plain(graph.metadata), "") for graph in (first, second))
    for key in sorted(one.keys() | two.keys()):
        if key not in two:
            yield f"- {where}, metadata {key!r}"
        elif key not in one:
            yield f"+ {where}, metadata {key!r}"
        elif one[key] != two[key] and repr(one[key]) != repr(two[key]):  # NaN equals NaN here
            yield f"{where}, metadata {key!r}: {one[key]!r}, {two[key]!r}"


def _flat(metadata: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in metadata.items():
        if isinstance(value, Mapping):
            found |= _flat(value, f"{prefix}{key}/")
        else:
            found[f"{prefix}{key}"] = value
    return found
