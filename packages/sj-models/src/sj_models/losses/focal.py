"""Focal loss of independent classes.

    l(n, k) = a_k (1 - m_k)^gamma BCE(s_k, q_k)
    m_k     = p_k q_k + (1 - p_k)(1 - q_k)              p = sigmoid(s): how right the score is
    a_k     = alpha q_k + (1 - alpha)(1 - q_k)

Source: Lin et al., "Focal loss for dense object detection", ICCV 2017, arXiv:1708.02002.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from .class_targets import checked_scores, per_class
from .reduction import ReducedLoss

__all__ = ["FocalLoss"]


class FocalLoss(ReducedLoss):
    """Focal loss of scores `[N, K]` and class indices `[N]` or targets per class `[N, K]`.

    Args:
        gamma: how strongly easy elements are damped, 0 or more.
        alpha: weight of positive elements, in [0, 1].
        reduction: `'none'`, `'mean'` or `'sum'`.
        loss_weight: factor of the result.

    Raises:
        ValueError: `gamma` below 0, `alpha` outside [0, 1], or shapes that do not fit.
    """

    def __init__(
        self,
        gamma: float = 2.0,
        alpha: float = 0.25,
        reduction: str = "mean",
        loss_weight: float = 1.0,
    ) -> None:
        super().__init__(reduction, loss_weight)
        if gamma < 0 or not 0 <= alpha <= 1:
            raise ValueError(
                f"FocalLoss: gamma must be 0 or more and alpha in [0, 1], got {gamma} and {alpha}"
            )
        self.gamma = gamma
        self.alpha = alpha

    def element_loss(self, pred: Tensor, target: Tensor) -> Tensor:
        checked_scores(type(self).__name__, pred, target)
        q = per_class(target, pred)
        p = pred.sigmoid()
        wrong = (1 - p) * q + p * (1 - q)
        balance = self.alpha * q + (1 - self.alpha) * (1 - q)
        bce = F.binary_cross_entropy_with_logits(pred, q, reduction="none")
        return balance * wrong**self.gamma * bce

    def extra_repr(self) -> str:
        return f"gamma={self.gamma}, alpha={self.alpha}, {super().extra_repr()}"
