"""Motion features: spike counts over three windows and the interval around the key frame.

    l = latest spike in frames c - 11 .. c, else c - 12       tfi = 1 / (r - l)
    r = earliest spike in frames c + 1 .. c + 12, else c + 12

with c the central frame of 41.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from .blindspot import EdgeConv

__all__ = ["FRAMES", "MotionInference", "inverse_interval"]

FRAMES = 41
_CENTRE = FRAMES // 2
_REACH = 12
_HALF_WINDOWS = (5, 9, 13)


class MotionInference(nn.Module):
    """Weighted counts and intervals -> 16 features, gated unless the network is blind.

    Args:
        blind: see only the rows up to the pixel's own, and use no gates.
    """

    def __init__(self, *, blind: bool) -> None:
        super().__init__()
        self.blind = blind
        for i, half in enumerate(_HALF_WINDOWS):
            self.add_module(f"conv{i}", nn.Conv2d(2 * half + 1, 1, 1, bias=False))
        self.tfpconv = EdgeConv(len(_HALF_WINDOWS), 16, blind=blind)
        self.tficonv = EdgeConv(1, 16, blind=blind)
        # A blind network has the gates' weights too, without a use for them.
        self.ChannelGate = _ChannelGate(16, 4)
        self.SpatialGate = _SpatialGate()

    def forward(self, spike: Tensor) -> Tensor:
        """Spikes ``[B, 41, H, W]`` -> features ``[B, 16, H, W]``."""
        counts = [
            self.get_submodule(f"conv{i}")(spike[:, _CENTRE - half : _CENTRE + half + 1])
            for i, half in enumerate(_HALF_WINDOWS)
        ]
        from_counts = self.tfpconv(torch.cat(counts, dim=1))
        from_interval = self.tficonv(inverse_interval(spike))
        if self.blind:
            return from_counts + from_interval
        return self.ChannelGate(self.SpatialGate(from_counts) + self.SpatialGate(from_interval))


@torch.no_grad()
def inverse_interval(spike: Tensor) -> Tensor:
    """Spikes ``[B, 41, H, W]`` -> 1 / (frames between those around the centre) ``[B, 1, H, W]``."""
    # A spike counts by how many frames it is nearer than the farthest place, 12 frames away on
    # either side; the nearest counts most, and none at all counts 0.
    steps = torch.arange(_REACH, 0, -1, dtype=spike.dtype, device=spike.device).view(1, -1, 1, 1)
    before = (spike[:, _CENTRE - _REACH + 1 : _CENTRE + 1] > 0) * steps.flip(1)
    after = (spike[:, _CENTRE + 1 : _CENTRE + _REACH + 1] > 0) * (steps - 1)
    interval = 2 * _REACH - before.amax(1, keepdim=True) - after.amax(1, keepdim=True)
    return interval.reciprocal()


class _SpatialGate(nn.Module):
    """x sigmoid(conv(maximum and mean of x over its channels)), 7x7."""

    def __init__(self) -> None:
        super().__init__()
        self.spatial = nn.ModuleDict({"conv": nn.Conv2d(2, 1, 7, padding=3, bias=False)})

    def forward(self, x: Tensor) -> Tensor:
        # `max`, not `amax`: of equal maxima one alone takes the gradient.
        maximum = x.max(1, keepdim=True).values
        summary = torch.cat([maximum, x.mean(1, keepdim=True)], dim=1)
        return x * self.spatial["conv"](summary).sigmoid()


class _ChannelGate(nn.Module):
    """x sigmoid(mlp(mean of x over the image) + mlp(its maximum))."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.mlp = nn.Sequential(
            nn.Flatten(), nn.Linear(channels, hidden), nn.ReLU(), nn.Linear(hidden, channels)
        )

    def forward(self, x: Tensor) -> Tensor:
        # Of equal maxima the first takes the gradient.
        maximum = functional.adaptive_max_pool2d(x, 1)
        mean = functional.avg_pool2d(x, x.shape[2:])
        gate = self.mlp(mean) + self.mlp(maximum)
        return x * gate.sigmoid().unsqueeze(-1).unsqueeze(-1)
