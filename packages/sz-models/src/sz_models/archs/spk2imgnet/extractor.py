"""Features of one window of spikes.

spikes [B, n, H, W] -> four light estimates from windows of n, n - 2, n - 4, n - 6 frames
    -> weighted per pixel -> features [B, F, H, W]
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["FeatureExtractor"]

_N_ESTIMATES = 4
_N_BLOCKS = 10


class FeatureExtractor(nn.Module):
    """Light estimates of a window and features made from them.

    Args:
        in_channels: frames of the window, at least 7.
        features: channels F of the output.
    """

    def __init__(self, in_channels: int, features: int) -> None:
        super().__init__()
        for i in range(_N_ESTIMATES):
            self.add_module(f"conv0_{i}", nn.Conv2d(in_channels - 2 * i, 16, 3, padding=1))
        for i in range(_N_ESTIMATES):
            self.add_module(f"conv1_{i}", nn.Conv2d(16, 1, 3, padding=1))
        self.ca = _EstimateWeights()
        self.conv = nn.Conv2d(_N_ESTIMATES, features, 3, padding=1)
        self.net = nn.Sequential(*(_ResidualBlock(features) for _ in range(_N_BLOCKS)))

    def forward(self, window: Tensor) -> tuple[Tensor, Tensor]:
        """Window ``[B, n, H, W]`` -> features ``[B, F, H, W]``, estimates ``[B, 4, H, W]``."""
        estimates = torch.cat([self._estimate(window, i) for i in range(_N_ESTIMATES)], dim=1)
        first = F.relu_(self.conv(estimates * self.ca(estimates)))
        return self.net(first) + first, estimates

    def _estimate(self, window: Tensor, i: int) -> Tensor:
        frames = window[:, i : window.shape[1] - i]
        return self.get_submodule(f"conv1_{i}")(F.relu_(self.get_submodule(f"conv0_{i}")(frames)))


class _EstimateWeights(nn.Module):
    """How much each estimate counts, per pixel: ``[B, 4, H, W]`` in (0, 1)."""

    def __init__(self) -> None:
        super().__init__()
        self.ca_block = nn.Sequential(
            nn.Conv2d(_N_ESTIMATES, 2 * _N_ESTIMATES, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(2 * _N_ESTIMATES, _N_ESTIMATES, 3, padding=1),
            nn.Sigmoid(),
        )

    def forward(self, estimates: Tensor) -> Tensor:
        return self.ca_block(estimates)


class _ResidualBlock(nn.Module):
    """relu(x + conv3(relu(conv2(relu(conv1(x))))))"""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(features, features, 3, padding=1)
        self.conv2 = nn.Conv2d(features, features, 3, padding=1)
        self.conv3 = nn.Conv2d(features, features, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu_(self.conv3(F.relu_(self.conv2(F.relu_(self.conv1(x))))).add_(x))
