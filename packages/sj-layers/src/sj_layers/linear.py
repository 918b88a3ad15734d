"""Linear maps and flattening."""

from __future__ import annotations

import torch
from torch import nn

from sj_neurons.base import StepModule

from .stateless import TimeFolded

__all__ = ["Flatten", "Linear"]


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


class Flatten(TimeFolded, nn.Flatten):
    """`torch.nn.Flatten` with a step mode; `'m'` counts axes from N, so that T is kept."""
