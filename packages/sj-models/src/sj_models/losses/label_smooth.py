"""Cross entropy with smoothed targets.

    original         (1 - eps) q + eps / K                 soft cross entropy
    classy_vision    (q + eps / K) / (1 + eps)             soft cross entropy
    multi_label      1 - eps where q > 0, else eps         sigmoid cross entropy

Source: Szegedy et al., "Rethinking the inception architecture for computer vision", CVPR 2016,
arXiv:1512.00567.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from .class_targets import checked_scores, per_class
from .cross_entropy import CrossEntropyLoss
from .reduction import ReducedLoss

__all__ = ["LabelSmoothLoss"]

MODES = ("original", "classy_vision", "multi_label")


class LabelSmoothLoss(ReducedLoss):
    """Cross entropy of scores `[N, K]` and smoothed class indices `[N]` or targets `[N, K]`.

    Args:
        label_smooth_val: eps, in [0, 1).
        num_classes: K, checked against the scores; `None` takes it from them.
        use_sigmoid: classes are independent; `None` is what the mode says.
        mode: a row of the module's table.
        reduction: `'none'`, `'mean'` or `'sum'`.
        loss_weight: factor of the result.
        class_weight: factor per class, K numbers.
        pos_weight: factor of the positive part per class; for independent classes only.

    Raises:
        ValueError: eps outside [0, 1), an unknown mode, `'multi_label'` with `use_sigmoid=False`,
            or scores of another number of classes.
    """

    def __init__(
        self,
        label_smooth_val: float,
        num_classes: int | None = None,
        use_sigmoid: bool | None = None,
        mode: str = "original",
        reduction: str = "mean",
        loss_weight: float = 1.0,
        class_weight: Sequence[float] | Tensor | None = None,
        pos_weight: Sequence[float] | Tensor | None = None,
    ) -> None:
        super().__init__(reduction, loss_weight)
        owner = type(self).__name__
        if not 0 <= label_smooth_val < 1:
            raise ValueError(f"{owner}: label_smooth_val must be in [0, 1), got {label_smooth_val}")
        if mode not in MODES:
            raise ValueError(f"{owner}: mode must be one of {MODES}, got {mode!r}")
        independent = mode == "multi_label" if use_sigmoid is None else use_sigmoid
        if mode == "multi_label" and not independent:
            raise ValueError(f"{owner}: mode 'multi_label' needs use_sigmoid=True")
        self.label_smooth_val = label_smooth_val
        self.num_classes = num_classes
        self.mode = mode
        self.ce = CrossEntropyLoss(
            use_sigmoid=independent,
            use_soft=not independent,
            reduction="none",
            class_weight=class_weight,
            pos_weight=pos_weight,
        )

    def smooth(self, target: Tensor, scores: Tensor) -> Tensor:
        """Smoothed target `[N, K]` of class indices `[N]` or a target `[N, K]`."""
        q = per_class(target, scores)
        eps = self.label_smooth_val
        if self.mode == "multi_label":
            return torch.where(q > 0, 1 - eps, eps).to(q.dtype)
        flat = eps / q.shape[-1]
        if self.mode == "classy_vision":
            return (q + flat) / (1 + eps)
        return q * (1 - eps) + flat

    def element_loss(self, pred: Tensor, target: Tensor) -> Tensor:
        owner = type(self).__name__
        checked_scores(owner, pred, target)
        if self.num_classes not in (None, pred.shape[-1]):
            raise ValueError(
                f"{owner}: num_classes={self.num_classes}, but the scores have {pred.shape[-1]}"
            )
        return self.ce(pred, self.smooth(target, pred))

    def extra_repr(self) -> str:
        return (
            f"label_smooth_val={self.label_smooth_val}, mode={self.mode!r}, {super().extra_repr()}"
        )
