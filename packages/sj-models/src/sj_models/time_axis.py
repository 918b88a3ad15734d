"""Run what has no time axis on sequences: fold T into the batch, and unfold it again.

    [N, *]       y = f(x)
    [T, N, *]    y = unfold(f(fold(x)))            fold: [T, N, *] -> [T N, *]

Which of the two a tensor is follows from its rank, which must be one of two for each layer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

__all__ = ["at_every_step", "check_rank", "last_feature", "map_features"]


def check_rank(owner: str, x: Tensor, axes: str) -> None:
    """Refuse a tensor that has neither the axes `axes`, such as `"N, C, H, W"`, nor T before them.

    Raises:
        ValueError: says what was expected and what came.
    """
    rank = axes.count(",") + 1
    if x.dim() not in (rank, rank + 1):
        raise ValueError(f"{owner}: expected [{axes}] or [T, {axes}], got shape {tuple(x.shape)}")


def at_every_step(owner: str, function: Callable[[Tensor], Tensor], x: Tensor, axes: str) -> Tensor:
    """`function(x)` for `x` with the axes `axes`, or for all time steps of `[T, *axes]` at once.

    Raises:
        ValueError: `x` has another rank.
    """
    check_rank(owner, x, axes)
    if x.dim() == axes.count(",") + 1:
        return function(x)
    return function(x.flatten(0, 1)).unflatten(0, x.shape[:2])


def map_features(owner: str, function: Callable[[Tensor], Tensor], feats: Any) -> Any:
    """`function` of a tensor, or of each tensor in a tuple.

    Raises:
        TypeError: `feats` is neither.
    """
    if isinstance(feats, Tensor):
        return function(feats)
    if isinstance(feats, tuple):
        return tuple(function(feat) for feat in feats)
    raise TypeError(f"{owner}: expected a tensor or a tuple, got {type(feats).__name__}")


def last_feature(owner: str, feats: Any) -> Any:
    """The last item of a tuple or list of features; a tensor as it is.

    Raises:
        TypeError: `feats` is neither.
        ValueError: nothing in it.
    """
    if isinstance(feats, Tensor):
        return feats
    if not isinstance(feats, tuple | list):
        raise TypeError(f"{owner}: expected a tensor or a tuple, got {type(feats).__name__}")
    if not feats:
        raise ValueError(f"{owner}: the tuple of features is empty")
    return feats[-1]
