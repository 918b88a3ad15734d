"""The linear map: torch's own in both modes, as it maps the last axis."""

from __future__ import annotations

import torch
from torch import nn

from sj_neurons.base import StepModule

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
