"""Fields of nodes as checked numpy numbers."""

from __future__ import annotations

from typing import Any

import nir
import numpy as np

from ..errors import NIRGraphError

__all__ = ["Shape", "SingleNumberError", "floats", "shape_of", "whole"]

Shape = tuple[int, ...]


class SingleNumberError(NIRGraphError):
    """A node has one number where it needs one for each element of `shape`."""

    def __init__(self, shape: Shape, *, node: str, field: str) -> None:
        super().__init__(
            f"is a single number, but the node gets {shape}; give each neuron its own "
            "(sj-nir convert does)",
            node=node,
            field=field,
        )
        self.shape = shape


def floats(node: nir.NIRNode, name: str, field: str) -> np.ndarray:
    """The field as finite float64 numbers.

    Raises:
        NIRGraphError: not numbers, none at all, or NaN or infinity among them.
    """
    value = np.asarray(getattr(node, field, None))
    if value.dtype.kind not in "iuf":
        raise NIRGraphError(f"expected numbers, got {value.dtype}", node=name, field=field)
    if value.size == 0:
        raise NIRGraphError(f"is empty, shape {value.shape}", node=name, field=field)
    bad = value.size - int(np.isfinite(value).sum())
    if bad:
        raise NIRGraphError(
            f"{bad} of {value.size} values are NaN or infinite", node=name, field=field
        )
    return value.astype(np.float64)


def whole(node: nir.NIRNode, name: str, field: str, least: int, count: int) -> Shape:
    """The field as `count` integers, each at least `least`; one number stands for all.

    Raises:
        NIRGraphError: other numbers, or another count.
    """
    value = np.asarray(getattr(node, field, None))
    if value.dtype.kind not in "iu":
        raise NIRGraphError(
            f"expected integers, got {getattr(node, field, None)!r}", node=name, field=field
        )
    numbers = tuple(int(i) for i in value.reshape(-1))
    if len(numbers) not in (1, count):
        raise NIRGraphError(
            f"expected 1 or {count} integers, got {numbers}", node=name, field=field
        )
    if min(numbers) < least:
        raise NIRGraphError(f"must be at least {least}, got {numbers}", node=name, field=field)
    return numbers if len(numbers) == count else numbers * count


def shape_of(value: Any, name: str, field: str) -> Shape | None:
    """A stored shape, `None` where there is none.

    Raises:
        NIRGraphError: it is not a list of positive integers.
    """
    if value is None:
        return None
    numbers = np.asarray(value)
    if numbers.size == 0:
        return ()
    if numbers.ndim > 1 or numbers.dtype.kind not in "iu" or (numbers < 1).any():
        raise NIRGraphError(f"expected positive integers, got {value!r}", node=name, field=field)
    return tuple(int(i) for i in numbers.reshape(-1))
