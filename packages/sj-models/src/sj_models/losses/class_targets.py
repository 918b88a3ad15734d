"""What losses of classifiers share: scores `[N, K]`, and targets as indices or per class."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["checked_scores", "per_class", "per_class_numbers"]


def checked_scores(owner: str, scores: Tensor, target: Tensor) -> None:
    """Refuse scores that are not `[N, K]`, or a target that is neither `[N]` nor `[N, K]`.

    Raises:
        ValueError: says which shapes came.
    """
    if scores.dim() != 2:
        hint = ": decode the time axis first, or use TETLoss" if scores.dim() == 3 else ""
        raise ValueError(f"{owner}: expected scores [N, K], got shape {tuple(scores.shape)}{hint}")
    if target.shape not in (scores.shape, scores.shape[:1]):
        raise ValueError(
            f"{owner}: scores {tuple(scores.shape)} need class indices [N] or a target [N, K], "
            f"got shape {tuple(target.shape)}"
        )


def per_class(target: Tensor, scores: Tensor) -> Tensor:
    """Target per class `[N, K]` in the type of the scores; indices become one-hot rows."""
    if target.dim() == 1:
        return F.one_hot(target, scores.shape[-1]).to(scores.dtype)
    return target.to(scores.dtype)


def per_class_numbers(
    owner: str, name: str, values: Sequence[float] | Tensor | None
) -> Tensor | None:
    """One number per class as a float tensor `[K]`.

    Raises:
        ValueError: not one-dimensional.
    """
    if values is None:
        return None
    numbers = torch.as_tensor(values, dtype=torch.get_default_dtype())
    if numbers.dim() != 1:
        raise ValueError(f"{owner}: {name} must be one number per class, got {values!r}")
    return numbers
