"""U-shaped network of edge convolutions: two poolings down, two upsamplings up."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from .blindspot import EdgeConv, EdgePool

__all__ = ["UNet"]


class UNet(nn.Module):
    """``[B, inputs, H, W]`` -> ``[B, 96, H, W]``.

    Args:
        inputs: input channels.
        blind: see only the rows up to the pixel's own.
    """

    def __init__(self, inputs: int, *, blind: bool) -> None:
        super().__init__()
        self.enc1 = _Chain((inputs, 48, 48, 48), blind=blind)
        self.enc2 = _Chain((48, 48, 48, 48), blind=blind)
        self.enc3 = _Chain((48, 96, 96, 48), blind=blind)
        self.dec2 = _Chain((96, 96, 96, 96, 96), blind=blind)
        self.dec1 = _Chain((96 + inputs, 96, 96, 96, 96), blind=blind)
        self.pool = EdgePool(blind=blind)

    def forward(self, x: Tensor) -> Tensor:
        half = self.pool(self.enc1(x))
        quarter = self.enc3(self.pool(self.enc2(half)))
        half = self.dec2(_beside(quarter, half))
        return self.dec1(_beside(half, x))


class _Chain(nn.Module):
    """Edge convolutions ``conv1``, ``conv2``, ... one after the other."""

    def __init__(self, widths: tuple[int, ...], *, blind: bool) -> None:
        super().__init__()
        for i, (inputs, outputs) in enumerate(pairwise(widths), start=1):
            self.add_module(f"conv{i}", EdgeConv(inputs, outputs, blind=blind))

    def forward(self, x: Tensor) -> Tensor:
        for conv in self.children():
            x = conv(x)
        return x


def _beside(coarse: Tensor, skip: Tensor) -> Tensor:
    """Coarse features at twice their size, with zeros around where that is too small, and skip."""
    fine = functional.interpolate(coarse, scale_factor=2.0, mode="nearest")
    missing_h, missing_w = skip.shape[2] - fine.shape[2], skip.shape[3] - fine.shape[3]
    if missing_h or missing_w:
        left, top = missing_w // 2, missing_h // 2
        fine = functional.pad(fine, (left, missing_w - left, top, missing_h - top))
    return torch.cat([fine, skip], dim=1)
