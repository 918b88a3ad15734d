"""Weights that are integers times one step for each node."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ...interpreter import Program
from ..target import Finding, Limit
from .weights import weight_nodes

__all__ = ["weight_bits", "weight_steps"]

_ROUNDING = 2.0**-22  # relative error of a float32 product


def weight_bits(program: Program, limit: Limit) -> Iterator[Finding]:
    """Weights are `value`-bit signed integers times one step for each node."""
    largest = 2 ** (limit.value - 1)
    yield from _off_grid(program, limit, -largest, largest - 1)


def weight_steps(program: Program, limit: Limit) -> Iterator[Finding]:
    """Weights are integers from -`value` to `value` times one step for each node."""
    yield from _off_grid(program, limit, -limit.value, limit.value)


def _off_grid(program: Program, limit: Limit, low: int, high: int) -> Iterator[Finding]:
    for name in weight_nodes(program):
        node: Any = program.graph.nodes[name]
        values = np.unique(np.asarray(node.weight, np.float64))
        if not _on_grid(values[values != 0], low, high):
            found = f"{values.size} different values without a common step that fits"
            yield Finding(name, "weight", limit, found)


def _on_grid(values: np.ndarray, low: int, high: int) -> bool:
    """Whether some step makes all of the distinct, non-zero `values` integers of the range."""
    if not values.size:
        return True
    if values.size > high - low:
        return False
    ratios = values / np.abs(values).max()
    counts = np.arange(1, max(-low, high) + 1)  # steps in the largest value
    some = ratios[:: max(1, ratios.size // 8)]
    for count in counts[_whole(np.outer(counts, some), counts[:, None]).all(1)]:
        steps = ratios * count
        within = steps.min() > low - 0.5 and steps.max() < high + 0.5
        if within and _whole(steps, count).all():
            return True
    return False


def _whole(steps: np.ndarray, count: Any) -> np.ndarray:
    return np.abs(steps - np.rint(steps)) <= count * _ROUNDING
