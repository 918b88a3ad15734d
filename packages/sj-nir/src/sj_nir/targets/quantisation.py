"""Parameters rounded to the integers that a chip holds, times one step."""

from __future__ import annotations

import copy
from collections.abc import Collection
from typing import Any

import nir
import numpy as np

from ..interpreter.fields import floats
from ..metadata import KEY

__all__ = ["FIELDS", "quantise"]

FIELDS = ("weight", "bias", "scale", "threshold", "v_threshold", "v_leak", "v_reset")
WIDTHS = range(2, 17)


def quantise(
    graph: nir.NIRGraph,
    bits: int = 8,
    *,
    per: str = "tensor",
    fields: Collection[str] = ("weight",),
) -> nir.NIRGraph:
    """A copy of a graph with parameters rounded to `bits`-bit integers times a step.

        n = 2^(bits-1) - 1;   step = max |w| / n;   w <- step rint(w / step)

    Zeros stay zeros, the largest value stays as it is, and doing it twice changes nothing more.
    `metadata["sj_nir"]["quantised"]` of each changed node says for each field how it was done.

    Args:
        graph: the graph, which stays as it is; nested graphs are quantised too.
        bits: width of the signed integers, from 2 to 16; -2^(bits-1) is not used.
        per: `'tensor'`, one step for each field of a node, or `'channel'`, one step for each
            output of a weight; fields other than weights have one step either way.
        fields: names of fields; those of :data:`FIELDS` can be quantised.

    Raises:
        ValueError, TypeError: an argument out of range.
        NIRGraphError: values that are no finite numbers; names node and field.
    """
    if not isinstance(graph, nir.NIRGraph):
        raise TypeError(f"graph must be a nir.NIRGraph, got {type(graph).__name__}")
    if isinstance(bits, bool) or not isinstance(bits, int) or bits not in WIDTHS:
        raise ValueError(f"bits must be an integer from {WIDTHS[0]} to {WIDTHS[-1]}, got {bits!r}")
    if per not in ("tensor", "channel"):
        raise ValueError(f"per must be 'tensor' or 'channel', got {per!r}")
    if isinstance(fields, str):
        raise TypeError(f"fields must be several names, such as ({fields!r},), got one string")
    for field in fields:
        if field not in FIELDS:
            raise ValueError(f"cannot quantise {field!r}; fields can be {', '.join(FIELDS)}")
    made = copy.deepcopy(graph)
    _quantise_nodes(made, "", bits, per, fields)
    return made


def _quantise_nodes(
    graph: nir.NIRGraph, prefix: str, bits: int, per: str, fields: Collection[str]
) -> None:
    for name, node in graph.nodes.items():
        path = prefix + name
        if isinstance(node, nir.NIRGraph):
            _quantise_nodes(node, f"{path}/", bits, per, fields)
            continue
        record: dict[str, Any] = {}
        for field in fields:
            if getattr(node, field, None) is not None:
                by_channel = per == "channel" and field == "weight"
                value = _rounded(node, path, field, bits, by_channel)
                setattr(node, field, value)
                record[field] = {"bits": bits, "per": "channel" if by_channel else "tensor"}
        if record:
            _note(node, record)


def _rounded(node: nir.NIRNode, path: str, field: str, bits: int, by_channel: bool) -> np.ndarray:
    stored = np.asarray(getattr(node, field))
    value = floats(node, path, field)
    axes = _inside_a_channel(node, value) if by_channel else None
    largest = np.abs(value).max(axis=axes, keepdims=True)
    top = 2 ** (bits - 1) - 1
    # 1 stands for the step of what is all zeros
    steps = np.rint(value / np.where(largest > 0, largest, 1.0) * top)
    # at the ends exactly the largest value, so that a second time finds the same step
    rounded = np.where(np.abs(steps) == top, np.copysign(largest, steps), steps * largest / top)
    return rounded.astype(np.result_type(stored.dtype, np.float32))


def _inside_a_channel(node: nir.NIRNode, weight: np.ndarray) -> tuple[int, ...]:
    """The axes of a weight that share an output: all but the first, or but the last but one."""
    dense = isinstance(node, nir.Affine | nir.Linear)
    output = max(weight.ndim - 2, 0) if dense else 0
    return tuple(axis for axis in range(weight.ndim) if axis != output)


def _note(node: Any, record: dict[str, Any]) -> None:
    metadata = node.metadata if isinstance(node.metadata, dict) else {}
    ours = metadata.get(KEY)
    ours = ours if isinstance(ours, dict) else {}
    before = ours.get("quantised")
    before = before if isinstance(before, dict) else {}
    node.metadata = {**metadata, KEY: {**ours, "quantised": {**before, **record}}}
