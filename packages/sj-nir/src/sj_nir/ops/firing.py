"""Firing at equality.

NIR   z = [v > v_threshold]          our neurons   z = [v >= v_threshold]

On a grid of floating-point numbers `v > a` is `v >= b` with b the next number above a. A neuron
imported with the strict rule gets b as its threshold and remembers a, so that export restores it.
A soft reset then subtracts b, one unit in the last place more than a.
"""

from __future__ import annotations

from typing import Any

import nir
import numpy as np
import torch
from torch import Tensor

from ..metadata import choice_in
from .table import ImportOptions

__all__ = ["firing_rule", "set_strict", "threshold_and_rule"]

RULES = (">", ">=")
_MEMO = "nir_strict_threshold"  # attribute of a module: (a, b)


def firing_rule(node: nir.NIRNode, name: str, options: ImportOptions) -> str:
    """`'>'` or `'>='`: the caller's choice, else the node's metadata, else NIR's text."""
    return options.threshold or choice_in(node, name, "fire", RULES) or ">"


def set_strict(module: Any, dtype: torch.dtype, attribute: str = "v_threshold") -> None:
    """Make `module` fire only above its threshold, for potentials of type `dtype`.

    Args:
        module: holds the threshold as `attribute`, a number or a tensor of this type.
    """
    threshold = getattr(module, attribute)
    if isinstance(threshold, Tensor):
        original = threshold.detach().clone()
        above = _next_above(original)
        with torch.no_grad():
            threshold.copy_(above)
        setattr(module, _MEMO, (original.cpu(), above.cpu()))
        return
    above = _next_above(torch.tensor(float(threshold), dtype=dtype)).item()
    setattr(module, _MEMO, (float(threshold), above))
    setattr(module, attribute, above)


def threshold_and_rule(module: Any, attribute: str = "v_threshold") -> tuple[float | Tensor, str]:
    """The threshold to write to a graph and the rule that goes with it."""
    threshold = getattr(module, attribute)
    original, above = getattr(module, _MEMO, (None, None))
    if original is not None and _equal(threshold, above):
        return original, ">"
    return threshold.detach() if isinstance(threshold, Tensor) else threshold, ">="


def _equal(a: Any, b: Any) -> bool:
    if isinstance(a, Tensor) and isinstance(b, Tensor):
        return a.shape == b.shape and bool((a.detach().cpu() == b).all())
    return not isinstance(a, Tensor) and not isinstance(b, Tensor) and a == b


def _next_above(values: Tensor) -> Tensor:
    if values.dtype == torch.float16:  # torch has no nextafter for it
        above = np.nextafter(values.cpu().numpy(), np.float16(np.inf))
        return torch.as_tensor(above).to(values)
    return torch.nextafter(values, torch.full_like(values, torch.inf))
