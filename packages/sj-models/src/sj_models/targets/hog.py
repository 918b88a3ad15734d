"""Histograms of oriented gradients as a target: what the edges of each patch look like.

    g_x, g_y   Sobel derivatives of each channel, borders reflected
    strength   sqrt(g_x^2 + g_y^2), weighted by a Gaussian window that is tiled over the image
    bin        floor(atan2(g_x, g_y) nbins / pi) mod nbins          unsigned orientation
    cell       strength per bin summed over pool x pool pixels, divided by its length over the bins
    patch      u x u cells side by side, [channel, bin, row, column]

Source: Wei et al., "Masked feature prediction for self-supervised visual pre-training", CVPR 2022,
arXiv:2112.09133.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from ..base_module import BaseModule

__all__ = ["HOGGenerator"]


class HOGGenerator(BaseModule):
    """Images `[N, C, H, W]` to features of patches `[N, L, C nbins u u]`, without gradient.

    Events or frames `[T, N, C, H, W]` are summed over time first: the target is that of the count.
    u is the number of cells per patch side, the whole part of (shorter side / pool / grid).

    Args:
        nbins: orientations.
        pool: side of a cell in pixels.
        gaussian_window: side of the window in pixels; 0 for none.
        grid: patches along the shorter side of the image, at most; 14 for 224 pixels and patches
            of 16.
        in_channels: C.

    Raises:
        ValueError: sizes below 1, or images that do not divide into windows, cells and patches.
    """

    weight_x: Tensor
    weight_y: Tensor
    gaussian_kernel: Tensor

    def __init__(
        self,
        nbins: int = 9,
        pool: int = 8,
        gaussian_window: int = 16,
        grid: int = 14,
        in_channels: int = 3,
    ) -> None:
        super().__init__()
        if min(nbins, pool, grid, in_channels) < 1 or gaussian_window < 0:
            raise ValueError(
                "HOGGenerator: nbins, pool, grid and in_channels must be 1 or more and "
                f"gaussian_window 0 or more, got {nbins}, {pool}, {grid}, {in_channels} and "
                f"{gaussian_window}"
            )
        self.nbins = nbins
        self.pool = pool
        self.gaussian_window = gaussian_window
        self.grid = grid
        self.in_channels = in_channels
        sobel = torch.tensor([[1.0, 0.0, -1.0], [2.0, 0.0, -2.0], [1.0, 0.0, -1.0]])
        sobel = sobel.expand(in_channels, 1, 3, 3)
        self.register_buffer("weight_x", sobel.contiguous())
        self.register_buffer("weight_y", sobel.transpose(2, 3).contiguous())
        if gaussian_window:
            self.register_buffer("gaussian_kernel", _gaussian(gaussian_window))

    @torch.no_grad()
    def forward(self, x: Tensor) -> Tensor:
        """Target of each patch, row by row."""
        cells = self.cells(x)
        rows, columns = cells.shape[-2:]
        u = min(rows, columns) // self.grid
        if u < 1 or rows % u or columns % u:
            raise ValueError(
                f"HOGGenerator: {rows} x {columns} cells do not divide into patches for grid="
                f"{self.grid}; set grid to the number of patches along a side"
            )
        return F.unfold(cells.flatten(1, 2), u, stride=u).transpose(1, 2)

    @torch.no_grad()
    def cells(self, x: Tensor) -> Tensor:
        """Histogram of each cell, `[N, C, nbins, H / pool, W / pool]`, of length 1 per channel."""
        if x.dim() == 5:
            x = x.sum(0)
        self._check(x)
        padded = F.pad(x, (1, 1, 1, 1), mode="reflect")
        g_x = F.conv2d(padded, self.weight_x.to(x.dtype), groups=self.in_channels)
        g_y = F.conv2d(padded, self.weight_y.to(x.dtype), groups=self.in_channels)
        strength = torch.hypot(g_x, g_y)
        if self.gaussian_window:
            rows, columns = (side // self.gaussian_window for side in x.shape[-2:])
            strength = strength * self.gaussian_kernel.to(x.dtype).repeat(rows, columns)
        angle = torch.atan2(g_x, g_y) / math.pi * self.nbins
        bins = angle.floor().long().remainder(self.nbins)
        histogram = x.new_zeros(*x.shape[:2], self.nbins, *x.shape[2:])
        histogram.scatter_add_(2, bins.unsqueeze(2), strength.unsqueeze(2))
        histogram = histogram.unflatten(-1, (-1, self.pool)).unflatten(-3, (-1, self.pool))
        return F.normalize(histogram.sum((-3, -1)), dim=2)

    def _check(self, x: Tensor) -> None:
        if x.dim() != 4 or x.shape[1] != self.in_channels or not x.is_floating_point():
            raise ValueError(
                f"HOGGenerator: expected images [N, {self.in_channels}, H, W] of floating-point "
                f"numbers, got shape {tuple(x.shape)} and {x.dtype}"
            )
        for name, size in (("gaussian_window", self.gaussian_window), ("pool", self.pool)):
            if size and (x.shape[-2] % size or x.shape[-1] % size):
                raise ValueError(
                    f"HOGGenerator: the sides of {x.shape[-2]} x {x.shape[-1]} pixels must be "
                    f"multiples of {name}={size}"
                )

    def extra_repr(self) -> str:
        return (
            f"nbins={self.nbins}, pool={self.pool}, gaussian_window={self.gaussian_window}, "
            f"grid={self.grid}, in_channels={self.in_channels}"
        )


def _gaussian(size: int) -> Tensor:
    """Kernel `[size, size]` with sum 1; its deviation is half its size."""
    n = torch.arange(size) - (size - 1) / 2
    window = torch.exp(-(n**2) / (2 * max(size // 2, 1) ** 2))
    kernel = window[:, None] * window
    return kernel / kernel.sum()
