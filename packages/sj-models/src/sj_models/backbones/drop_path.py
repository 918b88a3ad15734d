"""Stochastic depth: a residual branch is left out for some samples of a batch.

    y = x b / (1 - p),  b ~ Bernoulli(1 - p) for each sample, the same for all time steps

Source: Huang, Sun, Liu, Sedra, Weinberger, "Deep networks with stochastic depth", ECCV 2016.
"""

from __future__ import annotations

from torch import Tensor, nn

from sj_neurons.base import StepModule

__all__ = ["DropPath", "drop_path_rates"]


class DropPath(nn.Module, StepModule):
    """Leave out `[N, *]` (step mode 's') or `[T, N, *]` ('m') for a part of the N samples.

    Args:
        drop_prob: probability p of leaving a sample out, in [0, 1).

    Raises:
        ValueError: `drop_prob` out of range.
    """

    def __init__(self, drop_prob: float = 0.0) -> None:
        super().__init__()
        if not 0.0 <= drop_prob < 1.0:
            raise ValueError(f"DropPath: drop_prob must be in [0, 1), got {drop_prob}")
        self.drop_prob = drop_prob

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.drop_prob == 0.0:
            return x
        samples = 1 if self.step_mode == "m" else 0
        shape = [1] * x.dim()
        shape[samples] = x.shape[samples]
        keep = 1.0 - self.drop_prob
        return x * x.new_empty(shape).bernoulli_(keep).div_(keep)

    def extra_repr(self) -> str:
        return f"drop_prob={self.drop_prob}, step_mode={self.step_mode}"


def drop_path_rates(largest: float, blocks: int) -> list[float]:
    """Rates that grow linearly from 0 at the first block to `largest` at the last one."""
    return [largest * index / max(blocks - 1, 1) for index in range(blocks)]
