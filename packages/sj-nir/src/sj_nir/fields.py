"""Reading the fields of NIR nodes: finite numbers, equal shapes, pairs of integers."""

from __future__ import annotations

from typing import Any

import nir
import numpy as np
import torch
from torch import Tensor

from .errors import NIRGraphError

__all__ = ["array", "common_value", "integer", "integers", "one_shape", "pair", "parameter"]


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


def common_value(values: np.ndarray) -> float | None:
    """The one number that all `values` are; `None` if they differ."""
    low, high = float(values.min()), float(values.max())
    return low if low == high else None


def one_shape(node: nir.NIRNode, name: str, fields: tuple[str, ...]) -> tuple[int, ...]:
    """The shape that all these fields have.

    Raises:
        NIRGraphError: two of them differ.
    """
    own = np.shape(getattr(node, fields[0]))
    for field in fields[1:]:
        shape = np.shape(getattr(node, field))
        if shape != own:
            raise NIRGraphError(
                f"shape {shape} differs from that of {fields[0]}, {own}", node=name, field=field
            )
    return own


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
