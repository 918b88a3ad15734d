"""Numbers that users give."""

from __future__ import annotations

import math
import operator

__all__ = ["check_positive", "whole"]


def whole(name: str, value: object) -> int:
    """A whole number as an int.

    Raises:
        TypeError: something else.
    """
    try:
        return operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        raise TypeError(f"{name} must be a whole number, got {value!r}") from None


def check_positive(**numbers: float) -> None:
    """Refuse zero, negative, infinite and undefined numbers.

    Raises:
        TypeError: naming the first that is no number.
        ValueError: naming the first that is none of those.
    """
    for name, value in numbers.items():
        try:
            positive = 0 < float(value) < math.inf and not isinstance(value, (str, bytes))
        except (TypeError, ValueError, OverflowError):
            raise TypeError(f"{name} must be a positive number, got {value!r}") from None
        if not positive:
            raise ValueError(f"{name} must be a positive number, got {value!r}")
