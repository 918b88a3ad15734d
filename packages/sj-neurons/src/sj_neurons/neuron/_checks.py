"""Checks of arguments and inputs that several families share."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from ..surrogate import SurrogateFunction
from .base import checked_number

__all__ = ["checked_count", "checked_positive", "checked_sequence", "checked_surrogate"]


def checked_count(owner: str, name: str, value: object) -> int:
    """`value` if it is a whole number of at least 1."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{owner}: {name} must be a whole number, got {value!r}")
    if value < 1:
        raise ValueError(f"{owner}: {name} must be at least 1, got {value}")
    return value


def checked_positive(owner: str, name: str, value: float) -> float:
    """`value` as a finite float greater than 0."""
    number = checked_number(owner, name, value)
    if not 0.0 < number < math.inf:
        raise ValueError(f"{owner}: {name} must be greater than 0, got {value}")
    return number


def checked_surrogate(
    owner: str,
    surrogate_function: SurrogateFunction | Callable[[Tensor], Tensor] | None,
    default: Callable[[], SurrogateFunction],
) -> SurrogateFunction | Callable[[Tensor], Tensor]:
    """`surrogate_function`, or a new one from `default` if it is None."""
    if surrogate_function is None:
        return default()
    if not callable(surrogate_function):
        raise TypeError(
            f"{owner}: surrogate_function must be callable, such as surrogate.ATan(), "
            f"got {surrogate_function!r}"
        )
    return surrogate_function


def checked_sequence(owner: str, x_seq: Tensor, T: int | None = None) -> Tensor:
    """`x_seq` as floating-point numbers, if it is a sequence [T, N, *] of T > 0 steps."""
    if x_seq.dim() < 2 or x_seq.shape[0] == 0:
        raise ValueError(
            f"{owner}: expected a sequence [T, N, *] with T > 0, got shape {tuple(x_seq.shape)}"
        )
    if T is not None and x_seq.shape[0] != T:
        raise ValueError(
            f"{owner}: built for T = {T} steps, got {x_seq.shape[0]} in shape "
            f"{tuple(x_seq.shape)}; build it with T={x_seq.shape[0]}"
        )
    return x_seq if x_seq.is_floating_point() else x_seq.to(torch.get_default_dtype())
