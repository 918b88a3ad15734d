"""Convolutions over one step `[N, C, H, W]` or a sequence `[T, N, C, H, W]`."""

from __future__ import annotations

from torch import nn

from .stateless import TimeFolded

__all__ = ["Conv2d"]


class Conv2d(TimeFolded, nn.Conv2d):
    """`torch.nn.Conv2d` with a step mode."""

    sequence_layout = "T, N, C, H, W"
