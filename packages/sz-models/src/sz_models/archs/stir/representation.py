"""Spikes of one block -> means over nested windows, and features of a residual block."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["LEARNED_CHANNELS", "ResidualBlock", "nested_means", "window_count"]

LEARNED_CHANNELS = 11


def window_count(n_frames: int) -> int:
    """Channels that :func:`nested_means` makes from ``n_frames`` frames."""
    return 1 + len(range(2, n_frames // 2, 2))


def nested_means(block: Tensor) -> Tensor:
    """Means over frames [2i, n - 2i) for 2i = 0, 2, .. < n // 2: ``[B, n, H, W]``."""
    n = block.shape[1]
    means = [block[:, cut : n - cut].mean(1, keepdim=True) for cut in range(0, n // 2, 2)]
    return torch.cat(means, 1)


class ResidualBlock(nn.Module):
    """relu(bn2(conv2(relu(bn1(conv1 x)))) + conv3 x)."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, after, 3, padding=1)
        self.conv2 = nn.Conv2d(after, after, 3, padding=1)
        self.conv3 = nn.Conv2d(before, after, 1)
        self.bn1 = nn.BatchNorm2d(after)
        self.bn2 = nn.BatchNorm2d(after)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(y)) + self.conv3(x))
