"""Firing at equality.

NIR   z = [v > v_threshold]          our neurons   z = [v >= v_threshold]

On a grid of floating-point numbers `v > a` is `v >= b` with b the next number above a. A neuron
imported with the strict rule gets b as its threshold and remembers a, so that export restores it.
A soft reset then subtracts b, one unit in the last place more than a.
"""

from __future__ import annotations

import nir
import numpy as np
import torch

from sj_neurons.neuron import BaseNode

from ..metadata import choice_in
from .table import ImportOptions

__all__ = ["firing_rule", "set_strict", "threshold_and_rule"]

RULES = (">", ">=")
_MEMO = "nir_strict_threshold"  # attribute of a neuron: (a, b)


def firing_rule(node: nir.NIRNode, name: str, options: ImportOptions) -> str:
    """`'>'` or `'>='`: the caller's choice, else the node's metadata, else NIR's text."""
    return options.threshold or choice_in(node, name, "fire", RULES) or ">"


def set_strict(neuron: BaseNode, dtype: torch.dtype) -> None:
    """Make `neuron` fire only above its threshold, for potentials of type `dtype`."""
    threshold = float(neuron.v_threshold)
    above = _next_above(threshold, dtype)
    setattr(neuron, _MEMO, (threshold, above))
    neuron.v_threshold = above


def threshold_and_rule(neuron: BaseNode) -> tuple[float | torch.Tensor, str]:
    """The threshold to write to a graph and the rule that goes with it."""
    original, above = getattr(neuron, _MEMO, (None, None))
    if original is not None and neuron.v_threshold == above:
        return original, ">"
    return neuron.v_threshold, ">="


def _next_above(value: float, dtype: torch.dtype) -> float:
    if dtype == torch.float16:  # torch has no nextafter for it
        return float(np.nextafter(np.float16(value), np.float16(np.inf)))
    start = torch.tensor(value, dtype=dtype)
    return torch.nextafter(start, torch.tensor(torch.inf, dtype=dtype)).item()
