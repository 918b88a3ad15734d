"""Cross entropy of class indices, of probabilities, and of independent yes/no classes.

    hard      l(n) = -w_y log p_y                   p = softmax(s), y the class of the sample
    soft      l(n) = -sum_k w_k q_k log p_k         q the target probabilities
    sigmoid   l(n, k) = -w_k (pos_k q_k log g_k + (1 - q_k) log(1 - g_k)),   g = sigmoid(s)

The mean divides by the number of losses (N, or N K for 'sigmoid'), not by the sum of the class
weights as PyTorch's own does; samples of the class `ignore_index` count in N with a loss of 0.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor
from torch.nn import functional as F

from .class_targets import checked_scores, per_class, per_class_numbers
from .reduction import ReducedLoss

__all__ = ["CrossEntropyLoss"]


class CrossEntropyLoss(ReducedLoss):
    """Cross entropy of scores `[N, K]` and class indices `[N]` or targets per class `[N, K]`.

    Args:
        use_sigmoid: classes are independent; the loss is one number per sample and class.
        use_soft: the target is a distribution over classes.
        reduction: `'none'`, `'mean'` or `'sum'`.
        loss_weight: factor of the result.
        class_weight: factor per class, K numbers.
        pos_weight: factor of the positive part per class, K numbers; with `use_sigmoid` only.
        ignore_index: index of samples without a class; for class indices only.

    Raises:
        ValueError: `use_sigmoid` with `use_soft`, `pos_weight` without `use_sigmoid`, or shapes
            that do not fit.
        TypeError: a target per class without `use_soft` or `use_sigmoid`.

    Example:
        >>> import torch
        >>> CrossEntropyLoss()(torch.zeros(2, 4), torch.tensor([0, 3])).item()   # log 4
        1.3862943649291992
    """

    class_weight: Tensor | None
    pos_weight: Tensor | None

    def __init__(
        self,
        use_sigmoid: bool = False,
        use_soft: bool = False,
        reduction: str = "mean",
        loss_weight: float = 1.0,
        class_weight: Sequence[float] | Tensor | None = None,
        pos_weight: Sequence[float] | Tensor | None = None,
        ignore_index: int = -100,
    ) -> None:
        super().__init__(reduction, loss_weight)
        owner = type(self).__name__
        if use_sigmoid and use_soft:
            raise ValueError(f"{owner}: choose use_sigmoid or use_soft, not both")
        if pos_weight is not None and not use_sigmoid:
            raise ValueError(f"{owner}: pos_weight needs use_sigmoid=True")
        self.use_sigmoid = use_sigmoid
        self.use_soft = use_soft
        self.ignore_index = ignore_index
        for name, values in (("class_weight", class_weight), ("pos_weight", pos_weight)):
            self.register_buffer(name, per_class_numbers(owner, name, values), persistent=False)

    def element_loss(self, pred: Tensor, target: Tensor) -> Tensor:
        checked_scores(type(self).__name__, pred, target)
        weight = None if self.class_weight is None else self.class_weight.to(pred.dtype)
        if self.use_sigmoid:
            positive = None if self.pos_weight is None else self.pos_weight.to(pred.dtype)
            return F.binary_cross_entropy_with_logits(
                pred, per_class(target, pred), weight, pos_weight=positive, reduction="none"
            )
        if self.use_soft:
            log_p = pred.log_softmax(-1)
            return -(per_class(target, pred) * (log_p if weight is None else weight * log_p)).sum(
                -1
            )
        if target.dim() != 1:
            raise TypeError(
                f"{type(self).__name__}: a target per class {tuple(target.shape)} needs "
                "use_soft=True (probabilities) or use_sigmoid=True (independent classes)"
            )
        return F.cross_entropy(
            pred, target, weight, ignore_index=self.ignore_index, reduction="none"
        )

    def extra_repr(self) -> str:
        flags = f"use_sigmoid={self.use_sigmoid}, use_soft={self.use_soft}"
        return f"{flags}, {super().extra_repr()}"
