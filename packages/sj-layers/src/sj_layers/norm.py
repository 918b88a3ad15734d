"""Batch normalisation; statistics are taken over time and batch together.

A sequence counts as one batch: the running statistics move once per call.
"""

from __future__ import annotations

from torch import Tensor, nn

from .stateless import TimeFolded

__all__ = ["BatchNorm2d"]


class BatchNorm2d(TimeFolded, nn.BatchNorm2d):
    """`torch.nn.BatchNorm2d` with a step mode."""

    sequence_layout = "T, N, C, H, W"

    def _steps_are_equal(self, x: Tensor) -> bool:
        # the unbiased variance depends on the number of steps, so training looks at all of them
        return not self.training and super()._steps_are_equal(x)

    def extra_repr(self) -> str:
        # spelled out because torch's own list grows with its releases
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, "
            f"affine={self.affine}, track_running_stats={self.track_running_stats}, "
            f"step_mode={self.step_mode}"
        )
