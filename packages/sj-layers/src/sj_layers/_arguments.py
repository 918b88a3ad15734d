"""Checks of constructor arguments; each error names the class, the argument and what came."""

from __future__ import annotations

import math
from numbers import Integral, Real

__all__ = ["checked_count", "checked_positive"]


def checked_count(owner: str, name: str, value: object) -> int:
    """`value` if it is a whole number of at least 1."""
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise TypeError(f"{owner}: {name} must be a whole number, got {value!r}")
    if value < 1:
        raise ValueError(f"{owner}: {name} must be at least 1, got {value}")
    return int(value)


def checked_positive(owner: str, name: str, value: float) -> float:
    """`value` as a finite float greater than 0."""
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{owner}: {name} must be a number, got {value!r}")
    if not 0.0 < value < math.inf:
        raise ValueError(f"{owner}: {name} must be greater than 0 and finite, got {value}")
    return float(value)
