"""Checks of surrogates and input sequences that several families share."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ..surrogate import SurrogateFunction

__all__ = ["checked_sequence", "checked_surrogate"]


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
