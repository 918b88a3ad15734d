"""Five 3x3 convolutions with ReLU between them, after the light network of SpikeCLIP.

spikes [B, inDim, H, W] -> 64 -> 128 -> 64 -> 16 -> image [B, 1, H, W]

Chen et al., "Rethinking high-speed image reconstruction framework with spike camera", AAAI 2025.
"""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn

from ..layout import cpu_layout

__all__ = ["BaseNet"]


class BaseNet(nn.Module):
    """Plain convolutional network, about 0.18 M parameters.

    Args:
        inDim: input frames.

    Example:
        >>> import torch
        >>> BaseNet()(torch.zeros(1, 41, 8, 8)).shape
        torch.Size([1, 1, 8, 8])
    """

    def __init__(self, inDim: int = 41) -> None:
        super().__init__()
        self.receptive_radius = 5
        widths = (inDim, 64, 128, 64, 16)
        blocks = [
            nn.Sequential(nn.Conv2d(before, after, 3, padding=1), nn.ReLU(inplace=True))
            for before, after in pairwise(widths)
        ]
        self.seq = nn.Sequential(*blocks, nn.Conv2d(widths[-1], 1, 3, padding=1))

    def forward(self, spike: Tensor) -> Tensor:
        return self.seq(cpu_layout(spike))
