"""Pooling over one step `[N, C, H, W]` or a sequence `[T, N, C, H, W]`."""

from __future__ import annotations

from torch import nn

from .stateless import TimeFolded

__all__ = ["AdaptiveAvgPool2d", "AvgPool2d", "MaxPool2d"]


class MaxPool2d(TimeFolded, nn.MaxPool2d):
    """`torch.nn.MaxPool2d` with a step mode."""

    sequence_layout = "T, N, C, H, W"


class AvgPool2d(TimeFolded, nn.AvgPool2d):
    """`torch.nn.AvgPool2d` with a step mode."""

    sequence_layout = "T, N, C, H, W"


class AdaptiveAvgPool2d(TimeFolded, nn.AdaptiveAvgPool2d):
    """`torch.nn.AdaptiveAvgPool2d` with a step mode."""

    sequence_layout = "T, N, C, H, W"
