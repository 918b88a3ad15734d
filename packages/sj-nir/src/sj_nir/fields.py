"""Reading the fields of NIR nodes: finite numbers, one value for all neurons, pairs of integers."""

from __future__ import annotations

from typing import Any

import nir
import numpy as np
import torch
from torch import Tensor

from .errors import NIRGraphError, NotSupportedError

__all__ = ["array", "integer", "integers", "pair", "parameter", "uniform"]


def array(node: nir.NIRNode, name: str, field: str) -> np.ndarray:
    """The field as floating-point array; a float32 array stays float32.

    Raises:
        NIRGraphError: not numbers, none at all, or NaN or infinity among them.
    """
    value = np.asarray(getattr(node, field, None))
    if value.dtype.kind not in "iuf":
        raise NIRGraphError(f"expected numbers, got {value.dtype}", node=name, field=field)
    if value.size == 0:
        raise NIRGraphError(f"is empty, shape {value.shape}", node=name, field=field)
    floats = value.astype(np.float32 if value.dtype == np.float32 else np.float64)
    bad = floats.size - int(np.isfinite(floats).sum())
    if bad:
        raise NIRGraphError(
            f"{bad} of {floats.size} values are NaN or infinite", node=name, field=field
        )
    return floats


def parameter(
    node: nir.NIRNode, name: str, field: str, device: torch.device, dtype: torch.dtype
) -> Tensor:
    """The field as a tensor of its own."""
    return torch.tensor(array(node, name, field)).to(device=device, dtype=dtype)


def uniform(node: nir.NIRNode, name: str, field: str) -> float:
    """The one value that all neurons of the node share.

    Raises:
        NotSupportedError: the neurons differ.
    """
    values = array(node, name, field).astype(np.float64)
    low, high = float(values.min()), float(values.max())
    if low != high:
        raise NotSupportedError(
            f"differs between neurons, from {low} to {high}; per-neuron parameters are not "
            "supported yet: give all neurons of a node the same value, or split the node",
            node=name,
            field=field,
        )
    return low


def integers(node: nir.NIRNode, name: str, field: str, least: int) -> tuple[int, ...]:
    """The field as integers, each at least `least`; a single number gives one of them."""
    value: Any = np.asarray(getattr(node, field, None))
    if value.dtype.kind not in "iu":
        raise NIRGraphError(
            f"expected integers, got {getattr(node, field, None)!r}", node=name, field=field
        )
    numbers = tuple(int(i) for i in value.reshape(-1))
    if any(i < least for i in numbers):
        raise NIRGraphError(f"must be at least {least}, got {numbers}", node=name, field=field)
    return numbers


def integer(node: nir.NIRNode, name: str, field: str, least: int) -> int:
    """The field as one integer."""
    numbers = integers(node, name, field, least)
    if len(numbers) != 1:
        raise NIRGraphError(f"expected one integer, got {numbers}", node=name, field=field)
    return numbers[0]


def pair(node: nir.NIRNode, name: str, field: str, least: int) -> tuple[int, int]:
    """The field as (height, width); a single number stands for both."""
    numbers = integers(node, name, field, least)
    if len(numbers) == 1:
        return numbers[0], numbers[0]
    if len(numbers) == 2:
        return numbers[0], numbers[1]
    raise NIRGraphError(f"expected one or two integers, got {numbers}", node=name, field=field)
