"""From losses per element to the number that is minimised.

    weighted = loss * weight                                  weight broadcast over the loss
    avg_factor None:   'none' weighted | 'mean' mean(weighted) | 'sum' sum(weighted)
    avg_factor a:      'none' weighted | 'mean' sum(weighted) / a

With a weight and no `avg_factor`, the mean divides by the number of elements, not by the sum of
the weights.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Literal, cast, get_args

from torch import Tensor, nn

__all__ = ["ReducedLoss", "Reduction", "checked_reduction", "reduce", "weighted_loss"]

Reduction = Literal["none", "mean", "sum"]


def checked_reduction(owner: str, reduction: str, name: str = "reduction") -> Reduction:
    """`reduction` if it is a known one, else a `ValueError` that names `owner`."""
    if reduction not in get_args(Reduction):
        raise ValueError(f"{owner}: {name} must be one of {get_args(Reduction)}, got {reduction!r}")
    return cast(Reduction, reduction)


def reduce(
    loss: Tensor,
    weight: Tensor | None = None,
    reduction: str = "mean",
    avg_factor: float | Tensor | None = None,
) -> Tensor:
    """Weight and reduce losses per element; the equations are in the module's text.

    Args:
        loss: losses, any shape.
        weight: factors, of a shape that broadcasts to that of `loss`.
        reduction: `'none'`, `'mean'` or `'sum'`.
        avg_factor: divisor of the mean instead of the number of elements, above 0.

    Raises:
        ValueError: an unknown reduction, `avg_factor` with `'sum'` or not above 0, or a weight
            that does not fit.
    """
    checked_reduction("reduce", reduction)
    if weight is not None:
        loss = loss * _fitting(weight, loss)
    if isinstance(avg_factor, int | float) and not avg_factor > 0:
        raise ValueError(f"reduce: avg_factor must be above 0, got {avg_factor}")
    if reduction == "none":
        return loss
    if avg_factor is None:
        return loss.mean() if reduction == "mean" else loss.sum()
    if reduction == "sum":
        raise ValueError('avg_factor can not be used with reduction="sum"; use reduction="mean"')
    return loss.sum() / avg_factor


def _fitting(weight: Tensor, loss: Tensor) -> Tensor:
    ranks = zip(reversed(weight.shape), reversed(loss.shape), strict=False)
    if weight.dim() > loss.dim() or any(w not in (1, n) for w, n in ranks):
        raise ValueError(
            f"a weight of shape {tuple(weight.shape)} does not broadcast to losses of shape "
            f"{tuple(loss.shape)}"
        )
    return weight.to(loss.dtype)


def weighted_loss(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Give `function(pred, target, **options)`, a loss per element, weights and a reduction.

    The result is called as `f(pred, target, weight=None, reduction='mean', avg_factor=None,
    **options)`.

    Example:
        >>> import torch
        >>> @weighted_loss
        ... def squared_error(pred, target):
        ...     return (pred - target) ** 2
        >>> squared_error(torch.tensor([1.0, 3.0]), torch.zeros(2), avg_factor=4).item()
        2.5
    """

    @functools.wraps(function)
    def reduced(
        pred: Tensor,
        target: Tensor,
        weight: Tensor | None = None,
        reduction: str = "mean",
        avg_factor: float | Tensor | None = None,
        **options: object,
    ) -> Tensor:
        return reduce(function(pred, target, **options), weight, reduction, avg_factor)

    return reduced


class ReducedLoss(nn.Module):
    """A loss per element, times `loss_weight`, reduced; subclasses define :meth:`element_loss`.

    A weight `[N]` counts per sample, whatever follows the axis N in the losses.

    Args:
        reduction: `'none'`, `'mean'` or `'sum'`.
        loss_weight: factor of the result.

    Raises:
        ValueError: an unknown reduction.
    """

    def __init__(self, reduction: str = "mean", loss_weight: float = 1.0) -> None:
        super().__init__()
        self.reduction = checked_reduction(type(self).__name__, reduction)
        self.loss_weight = loss_weight

    def element_loss(self, pred: Tensor, target: Tensor) -> Tensor:
        """Losses before weights and reduction, `[N, *]`."""
        raise NotImplementedError(f"{type(self).__name__} does not define element_loss")

    def forward(
        self,
        pred: Tensor,
        target: Tensor,
        weight: Tensor | None = None,
        avg_factor: float | Tensor | None = None,
        reduction_override: str | None = None,
    ) -> Tensor:
        """The loss; `reduction_override` wins over the reduction of the constructor."""
        reduction = self.reduction
        if reduction_override is not None:
            owner = type(self).__name__
            reduction = checked_reduction(owner, reduction_override, "reduction_override")
        loss = self.element_loss(pred, target)
        if weight is not None and weight.dim() < loss.dim():
            weight = weight.reshape(*weight.shape, *(1,) * (loss.dim() - weight.dim()))
        return self.loss_weight * reduce(loss, weight, reduction, avg_factor)

    def extra_repr(self) -> str:
        return f"reduction={self.reduction!r}, loss_weight={self.loss_weight}"
