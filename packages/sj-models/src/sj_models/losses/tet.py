"""Temporal efficient training: the loss of every time step instead of that of their mean.

    loss = (1 - lamb) sum_t w_t base(o[t], y) + lamb mean((o - phi)^2)        w_t = 1/T by default

The second term keeps scores near `phi`, which damps outliers. By Jensen's inequality the cross
entropy of the mean score is at most the mean of the cross entropies.

Source: Deng, Li, Zhang, Gu, "Temporal efficient training of spiking neural network via gradient
re-weighting", ICLR 2022, arXiv:2202.11946.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from ..build import build_part
from .cross_entropy import CrossEntropyLoss
from .reduction import checked_reduction, reduce

__all__ = ["TETLoss"]


class TETLoss(nn.Module):
    """Any loss of scores `[N, K]`, taken at every time step of scores `[T, N, K]`.

    Args:
        base: the loss of one step, called as `base(score, target, weight=..., avg_factor=...,
            reduction_override=...)`; a module, a config or `None` for the cross entropy.
        lamb: share of the term that keeps scores near `phi`, in [0, 1].
        phi: where that term keeps them; the firing threshold in the paper.
        step_weights: one factor per time step, used as given; `None` averages.
        reduction: `'none'` (`[N]`), `'mean'` or `'sum'`.
        loss_weight: factor of the result.

    Raises:
        ValueError: `lamb` outside [0, 1], scores without a time axis, or another number of
            steps than weights.

    Example:
        >>> import torch
        >>> TETLoss(lamb=0.0)(torch.zeros(8, 2, 4), torch.tensor([0, 3])).item()   # log 4
        1.3862943649291992
    """

    # heads hand the scores of all time steps to a loss that says so
    per_step: ClassVar[bool] = True

    step_weights: Tensor | None

    def __init__(
        self,
        base: nn.Module | Mapping[str, Any] | None = None,
        lamb: float = 0.05,
        phi: float = 1.0,
        step_weights: Sequence[float] | Tensor | None = None,
        reduction: str = "mean",
        loss_weight: float = 1.0,
    ) -> None:
        super().__init__()
        if not 0 <= lamb <= 1:
            raise ValueError(f"TETLoss: lamb must be in [0, 1], got {lamb}")
        built = CrossEntropyLoss() if base is None else build_part(base, path="base")
        if getattr(built, "per_step", False):
            raise ValueError("TETLoss: base must be a loss of one step, scores [N, K]")
        self.base = built
        self.lamb = lamb
        self.phi = phi
        weights = None
        if step_weights is not None:
            weights = torch.as_tensor(step_weights, dtype=torch.get_default_dtype())
            if weights.dim() != 1:
                raise ValueError(f"TETLoss: step_weights must be [T], got {tuple(weights.shape)}")
        self.register_buffer("step_weights", weights, persistent=False)
        self.reduction = checked_reduction("TETLoss", reduction)
        self.loss_weight = loss_weight

    def forward(
        self,
        score: Tensor,
        target: Tensor,
        weight: Tensor | None = None,
        avg_factor: float | Tensor | None = None,
        reduction_override: str | None = None,
    ) -> Tensor:
        """Loss of scores `[T, N, K]` and a target of the base; `weight` is `[N]`."""
        if score.dim() != 3 or score.shape[0] == 0:
            raise ValueError(
                f"TETLoss: expected scores [T, N, K] with T > 0, got shape {tuple(score.shape)}"
            )
        reduction = self.reduction
        if reduction_override is not None:
            reduction = checked_reduction("TETLoss", reduction_override, "reduction_override")
        steps = torch.stack(
            [
                self.base(
                    o,
                    target,
                    weight=weight,
                    avg_factor=avg_factor,
                    reduction_override=reduction,
                )
                for o in score
            ]
        )
        loss = (1 - self.lamb) * self._over_time(steps)
        if self.lamb:
            distance = (score - self.phi).square().mean((0, 2))
            loss = loss + self.lamb * reduce(distance, weight, reduction, avg_factor)
        return self.loss_weight * loss

    def _over_time(self, steps: Tensor) -> Tensor:
        if self.step_weights is None:
            return steps.mean(0)
        if len(self.step_weights) != len(steps):
            raise ValueError(
                f"TETLoss: {len(self.step_weights)} step_weights for {len(steps)} time steps"
            )
        return torch.tensordot(self.step_weights.to(steps), steps, dims=1)

    def extra_repr(self) -> str:
        return f"lamb={self.lamb}, phi={self.phi}, reduction={self.reduction!r}"
