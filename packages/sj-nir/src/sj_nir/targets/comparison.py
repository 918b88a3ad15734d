"""What quantisation changes: parameters, spikes and outputs, through the numpy interpreter."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import nir
import numpy as np

from ..interpreter import Program, compile_graph
from .quantisation import FIELDS

__all__ = ["Comparison", "FieldError", "OutputDifference", "SpikeDifference", "compare"]

Graph = nir.NIRGraph | str | os.PathLike[str]


@dataclass(frozen=True)
class FieldError:
    """How far one field of a node moved.

    Attributes:
        node, field: names.
        largest: max |w - w'|.
        sqnr: signal to noise, 10 log10(sum w^2 / sum (w - w')^2) in dB; infinity if all is equal.
    """

    node: str
    field: str
    largest: float
    sqnr: float


@dataclass(frozen=True)
class SpikeDifference:
    """How the spikes of one node differ.

    Attributes:
        node: name.
        first, second: number of spikes in both graphs.
        common: share of the spikes that both have at the same step and neuron in those that
            either has; 1 where neither has any.
    """

    node: str
    first: int
    second: int
    common: float


@dataclass(frozen=True)
class OutputDifference:
    """How one Output differs: the largest difference, and its root mean square."""

    node: str
    largest: float
    rms: float


@dataclass(frozen=True)
class Comparison:
    """What :func:`compare` found.

    Attributes:
        fields: those of :data:`FIELDS` that differ.
        spikes: all nodes that fire.
        outputs: all Outputs.
        steps, batch: length and number of the sequences.
    """

    fields: tuple[FieldError, ...]
    spikes: tuple[SpikeDifference, ...]
    outputs: tuple[OutputDifference, ...]
    steps: int
    batch: int

    def __str__(self) -> str:
        lines = [f"{self.steps} steps, {self.batch} samples"]
        lines += [
            f"node {e.node!r}, field {e.field!r}: off by at most {e.largest:.3g}, {e.sqnr:.1f} dB"
            for e in self.fields
        ]
        lines += [
            f"node {s.node!r}: {s.first} spikes, then {s.second}; {s.common:.1%} in common"
            for s in self.spikes
        ]
        lines += [
            f"output {o.node!r}: differs by at most {o.largest:.3g}, rms {o.rms:.3g}"
            for o in self.outputs
        ]
        return "\n".join(lines)


def compare(
    graph: Graph,
    quantised: Graph,
    inputs: np.ndarray | Mapping[str, np.ndarray],
    dt: float | None = None,
    *,
    reset: str | None = None,
    threshold: str | None = None,
    cut: str = "neuron",
    if_dt: float | None = None,
) -> Comparison:
    """Run two graphs of the same nodes on the same input and report the differences.

    Args:
        graph, quantised: the graphs, or paths of files with them.
        inputs: `[T, B, *]`, or one such array for each Input by name.
        dt, reset, threshold, cut, if_dt: as for :func:`sj_nir.interpret`.

    Raises:
        ValueError: graphs of different nodes, inputs that do not fit; as :func:`sj_nir.interpret`.
    """
    options: Any = {"reset": reset, "threshold": threshold, "cut": cut, "if_dt": if_dt}
    first, second = (compile_graph(some, dt, **options) for some in (graph, quantised))
    _check_nodes(first, second)
    firing = tuple(first.margin_nodes)
    ours, theirs = (program.run(inputs, firing) for program in (first, second))
    spikes = tuple(
        _spikes(name, ours.traces[name]["out"], theirs.traces[name]["out"]) for name in firing
    )
    outputs = tuple(
        _outputs(name, value, theirs.outputs[name]) for name, value in ours.outputs.items()
    )
    steps, batch, *_ = next(iter(ours.outputs.values())).shape
    return Comparison(tuple(_field_errors(first, second)), spikes, outputs, steps, batch)


def _check_nodes(first: Program, second: Program) -> None:
    kinds = [{n: type(node) for n, node in p.graph.nodes.items()} for p in (first, second)]
    for name in sorted(kinds[0].keys() | kinds[1].keys()):
        if kinds[0].get(name) is not kinds[1].get(name):
            shown = [kind[name].__name__ if name in kind else "missing" for kind in kinds]
            raise ValueError(f"node {name!r}: {shown[0]} in one graph, {shown[1]} in the other")
        if first.shapes[name] != second.shapes[name]:
            raise ValueError(
                f"node {name!r}: shape {first.shapes[name]} in one graph, "
                f"{second.shapes[name]} in the other"
            )
        for field in FIELDS:
            sizes = [np.shape(getattr(p.graph.nodes[name], field, ())) for p in (first, second)]
            if sizes[0] != sizes[1]:
                raise ValueError(
                    f"node {name!r}, field {field!r}: shape {sizes[0]} in one graph, {sizes[1]} in "
                    "the other"
                )


def _field_errors(first: Program, second: Program) -> Iterator[FieldError]:
    for name, node in first.graph.nodes.items():
        for field in FIELDS:
            if getattr(node, field, None) is None:
                continue
            w = np.asarray(getattr(node, field), np.float64)
            noise = w - np.asarray(getattr(second.graph.nodes[name], field), np.float64)
            power = float(np.square(noise).sum())
            if power:
                sqnr = float(np.square(w).sum()) / power
                decibels = 10 * float(np.log10(sqnr)) if sqnr else -np.inf
                yield FieldError(name, field, float(np.abs(noise).max()), decibels)


def _spikes(name: str, first: np.ndarray, second: np.ndarray) -> SpikeDifference:
    a, b = first > 0, second > 0
    either = int((a | b).sum())
    common = float((a & b).sum()) / either if either else 1.0
    return SpikeDifference(name, int(a.sum()), int(b.sum()), common)


def _outputs(name: str, first: np.ndarray, second: np.ndarray) -> OutputDifference:
    difference = np.abs(first - second)
    return OutputDifference(
        name, float(difference.max()), float(np.sqrt(np.square(difference).mean()))
    )
