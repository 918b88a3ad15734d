"""Absolute differences.

l(n, *) = |pred(n, *) - target(n, *)|
"""

from __future__ import annotations

from torch import Tensor

from .reduction import ReducedLoss, weighted_loss

__all__ = ["L1Loss", "l1_loss"]


def _absolute_difference(pred: Tensor, target: Tensor) -> Tensor:
    if pred.shape != target.shape or target.numel() == 0:
        raise ValueError(
            "l1_loss: expected prediction and target of one shape that is not empty, got "
            f"{tuple(pred.shape)} and {tuple(target.shape)}; class indices become targets by "
            "torch.nn.functional.one_hot"
        )
    return (pred - target).abs()


l1_loss = weighted_loss(_absolute_difference)
l1_loss.__doc__ = "Absolute differences of `pred` and `target` `[N, *]`, weighted and reduced."


class L1Loss(ReducedLoss):
    """Mean absolute difference of a prediction and a target of the same shape `[N, *]`.

    Args:
        reduction: `'none'`, `'mean'` or `'sum'`.
        loss_weight: factor of the result.

    Raises:
        ValueError: different shapes, as those of scores `[N, K]` and class indices `[N]`.
    """

    def element_loss(self, pred: Tensor, target: Tensor) -> Tensor:
        return _absolute_difference(pred, target)
