"""Pairs of convolutions, and the fusion of several interval maps by them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

__all__ = ["FEATURES", "FeatureEncoder", "IntervalFusion", "double_size", "two_conv"]

FEATURES = 64


def two_conv(before: int, hidden: int, after: int, stride: int = 1) -> nn.Sequential:
    """3x3 convolution, ReLU, 3x3 convolution; ``stride`` belongs to the first."""
    return nn.Sequential(
        nn.Conv2d(before, hidden, 3, stride, padding=1),
        nn.ReLU(inplace=True),
        nn.Conv2d(hidden, after, 3, padding=1),
    )


def double_size(x: Tensor) -> Tensor:
    """Bilinear upsampling by two."""
    return nn.functional.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


class IntervalFusion(nn.Module):
    """Four rates ``[B, n, H, W]``, the plain one first -> features ``[B, 64, H, W]``."""

    def __init__(self, n_frames: int) -> None:
        super().__init__()
        self.conv1 = two_conv(n_frames, FEATURES, FEATURES)
        self.conv_for_others = nn.ModuleList(
            two_conv(FEATURES, FEATURES, FEATURES) for _ in range(3)
        )
        self.conv_fuse = two_conv(3 * FEATURES, FEATURES, FEATURES)

    def forward(self, rates: Sequence[Tensor]) -> Tensor:
        plain, *others = (self.conv1(rate) for rate in rates)
        others = [conv(x) for conv, x in zip(self.conv_for_others, others, strict=True)]
        return plain + self.conv_fuse(torch.cat(others, 1))


class FeatureEncoder(nn.Module):
    """Four times x = relu(conv(x) + x)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv_list = nn.ModuleList(two_conv(FEATURES, FEATURES, FEATURES) for _ in range(4))

    def forward(self, x: Tensor) -> Tensor:
        for conv in self.conv_list:
            x = torch.relu(conv(x) + x)
        return x
