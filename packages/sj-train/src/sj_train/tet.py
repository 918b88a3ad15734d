"""Loss of every time step.

    L = (1 - w) mean_t criterion(y[t], target) + w mean_t mean((y[t] - level)^2)

Shapes: y ``[T, N, K]``, target ``[N]`` or ``[N, K]``.

Deng et al., "Temporal Efficient Training of Spiking Neural Network via Gradient Re-weighting",
ICLR 2022.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from .errors import OptionError

__all__ = ["TETLoss"]


class TETLoss(nn.Module):
    """``criterion`` at every time step, averaged over time.

    Args:
        criterion: loss of one step, from ``([N, K], target)``.
        weight: w, share of the term that pulls all outputs to ``level``, 0 to 1.
        level: usually the firing threshold.

    Raises:
        OptionError: the output has no time axis.
    """

    def __init__(
        self,
        criterion: Callable[[Tensor, Tensor], Tensor],
        *,
        weight: float = 0.0,
        level: float = 1.0,
    ) -> None:
        super().__init__()
        if not 0 <= weight <= 1:
            raise OptionError(f"weight must be between 0 and 1, got {weight}")
        self.criterion = criterion
        self.weight = weight
        self.level = level

    def forward(self, y: Tensor, target: Tensor) -> Tensor:
        if y.ndim != 3:
            raise OptionError(
                f"TET needs the output of every time step [T, N, K], got {tuple(y.shape)}; let "
                "the model return all steps"
            )
        loss = torch.stack([self.criterion(y_t, target) for y_t in y]).mean()
        if self.weight == 0:
            return loss
        return (1 - self.weight) * loss + self.weight * (y - self.level).square().mean()
