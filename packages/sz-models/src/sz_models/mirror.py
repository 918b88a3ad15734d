"""Mirrored borders of any width, for images and spikes of any element type."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["mirror_pad"]


def mirror_pad(x: Tensor, left: int, right: int, top: int, bottom: int) -> Tensor:
    """Pad ``[B, C, H, W]`` by reflection about its outermost pixels, which are not repeated.

    Unlike ``torch.nn.functional.pad`` the border may be wider than the image (the mirror image is
    then mirrored again) and integer images are padded too.
    """
    height, width = x.shape[-2:]
    fits = max(left, right) < width and max(top, bottom) < height
    if fits and x.is_floating_point():
        return functional.pad(x, (left, right, top, bottom), mode="reflect")
    rows = _mirrored(height, top, bottom, x.device)
    columns = _mirrored(width, left, right, x.device)
    return x.index_select(-2, rows).index_select(-1, columns)


def _mirrored(size: int, before: int, after: int, device: torch.device) -> Tensor:
    """Indices of the source pixels: a triangle wave of period 2 (size - 1)."""
    position = torch.arange(-before, size + after, device=device)
    if size == 1:
        return torch.zeros_like(position)
    period = 2 * (size - 1)
    position = position.remainder(period)
    return torch.minimum(position, period - position)
