"""The linear map: torch's own in both modes, as it maps the last axis.

A sequence whose steps are all equal (time stride 0) is mapped once.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sj_neurons.base import StepModule

from .stateless import TimeFolded, repeated

__all__ = ["Linear"]


class Linear(nn.Linear, StepModule):
    """`torch.nn.Linear` with a step mode; both modes map the last axis."""

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        step_mode: str = "s",
    ) -> None:
        super().__init__(in_features, out_features, bias, device, dtype)
        self.step_mode = step_mode

    def forward(self, input: Tensor) -> Tensor:
        if self.step_mode == "m" and input.dim() > 1 and TimeFolded.steps_are_equal(input):
            return repeated(self.map(input[0]), input.shape[0])
        return self.map(input)

    def map(self, x: Tensor) -> Tensor:
        """The map itself, whatever the mode."""
        return super().forward(x)
