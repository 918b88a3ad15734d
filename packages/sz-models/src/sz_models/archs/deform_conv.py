"""Deformable convolution: each tap is moved by an offset and weighted by a mask, both maps.

    y(p) = bias + sum_k weight[k] mask[k](p) x(q[k](p))
    q[k](p) = p * stride - padding + k * dilation + offset[k](p)

Positions between pixels are interpolated linearly; outside the image x is 0.
N batch, C channels, H, W rows and columns, D offset groups, K taps (row-major).

Zhu et al., "Deformable ConvNets v2: more deformable, better results", CVPR 2019.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["deform_conv2d"]

# Elements of the column matrix that are worked on at once when no gradient is recorded: on a CPU
# they should stay in the cache, on other devices few large steps are faster.
_CPU_COLUMNS = 1 << 20
_DEVICE_COLUMNS = 1 << 26


def deform_conv2d(
    x: Tensor,
    offset: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    mask: Tensor | None = None,
    *,
    stride: int | tuple[int, int] = 1,
    padding: int | tuple[int, int] = 0,
    dilation: int | tuple[int, int] = 1,
) -> Tensor:
    """Deformable convolution, version 2 (version 1 without a mask).

    Without gradients it runs over a few rows at a time, so that the columns stay small.

    Args:
        x: ``[N, C, H, W]``.
        offset: ``[N, D * K * 2, Ho, Wo]`` in pixels; the last factor is (y, x).
        weight: ``[C_out, C / G, kh, kw]`` with any number of groups G, K = kh * kw.
        bias: ``[C_out]``.
        mask: ``[N, D * K, Ho, Wo]``; ``None`` = 1.

    Returns:
        ``[N, C_out, Ho, Wo]``.

    Raises:
        ValueError: shapes that do not fit each other.
    """
    kernel = (weight.shape[-2], weight.shape[-1])
    taps = _Taps(kernel, _pair(stride), _pair(padding), _pair(dilation))
    n_groups = _checked_offset_groups(x, offset, weight, bias, mask, taps)
    n, height, width = len(x), offset.shape[2], offset.shape[3]
    sampler = _Sampler(x, offset, mask, taps, n_groups)
    groups = x.shape[1] // weight.shape[1]
    matrix = weight.reshape(groups, weight.shape[0] // groups, -1)
    needs_grad = torch.is_grad_enabled() and any(
        t is not None and t.requires_grad for t in (x, offset, weight, bias, mask)
    )
    if needs_grad:
        out = _contract(sampler.columns(0, height), matrix)
    else:
        row = n * x.shape[1] * taps.per_kernel * width
        budget = _CPU_COLUMNS if x.device.type == "cpu" else _DEVICE_COLUMNS
        out = torch.cat(
            [
                _contract(sampler.columns(start, stop), matrix)
                for start, stop in _row_blocks(height, max(1, budget // max(1, row)))
            ],
            dim=-1,
        )
    out = out.reshape(n, weight.shape[0], height, width)
    return out if bias is None else out + bias.to(out.dtype).view(-1, 1, 1)


class _Taps(NamedTuple):
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]

    @property
    def per_kernel(self) -> int:
        return self.kernel[0] * self.kernel[1]

    def output_size(self, axis: int, size: int) -> int:
        reach = self.dilation[axis] * (self.kernel[axis] - 1) + 1
        return (size + 2 * self.padding[axis] - reach) // self.stride[axis] + 1

    def positions(self, axis: int, n: int, like: Tensor) -> Tensor:
        """Where the taps are before they are moved: ``[kernel, n]`` pixels."""
        pixel = torch.arange(n, device=like.device, dtype=like.dtype) * self.stride[axis]
        tap = torch.arange(self.kernel[axis], device=like.device, dtype=like.dtype)
        return pixel + tap[:, None] * self.dilation[axis] - self.padding[axis]


class _Sampler:
    """Reads columns ``[N, C * K, rows * Wo]`` of an image.

    ``grid_sample`` reads a map whose sides are zero-padded to powers of two: its coordinates
    2 x / side - 1 are then exact at whole pixels, where the derivative with respect to the offset
    jumps and a rounded coordinate would take the wrong side.
    """

    def __init__(
        self, x: Tensor, offset: Tensor, mask: Tensor | None, taps: _Taps, n_groups: int
    ) -> None:
        self.dtype = x.dtype
        # Coordinates in half precision would be off by whole pixels.
        exact = torch.float64 if x.dtype == torch.float64 else torch.float32
        n, channels, height, width = x.shape
        out_height, out_width = offset.shape[2:]
        sides = tuple(1 << (size - 1).bit_length() for size in (height, width))
        padded = F.pad(x.to(exact), (0, sides[1] - width, 0, sides[0] - height))
        self.maps = padded.reshape(n * n_groups, channels // n_groups, *sides)
        self.offset = offset.to(exact).view(n, n_groups, taps.per_kernel, 2, out_height, out_width)
        self.scale = tuple(2 / side for side in sides)
        rows, columns = (
            taps.positions(axis, size, self.maps) * scale + (scale / 2 - 1)
            for axis, (size, scale) in enumerate(
                zip((out_height, out_width), self.scale, strict=True)
            )
        )
        self.y = rows.repeat_interleave(taps.kernel[1], 0)[:, :, None]
        self.x = columns.repeat(taps.kernel[0], 1)[:, None, :]
        self.mask = None
        if mask is not None:
            self.mask = mask.to(exact).view(n, n_groups, 1, taps.per_kernel, out_height, out_width)

    def columns(self, start: int, stop: int) -> Tensor:
        """Columns of the output rows [start, stop)."""
        dy, dx = self.offset[:, :, :, :, start:stop].unbind(3)
        y = torch.add(self.y[:, start:stop], dy, alpha=self.scale[0])
        x = torch.add(self.x, dx, alpha=self.scale[1])
        n, n_groups, n_taps, n_rows, width = y.shape
        grid = torch.stack((x, y), -1).view(n * n_groups, n_taps * n_rows, width, 2)
        values = F.grid_sample(
            self.maps, grid, mode="bilinear", padding_mode="zeros", align_corners=False
        )
        if self.mask is not None:
            mask = self.mask[:, :, :, :, start:stop]
            values = values.view(n, n_groups, -1, n_taps, n_rows, width)
            values = values * mask if torch.is_grad_enabled() else values.mul_(mask)
        return values.reshape(n, -1, n_rows * width).to(self.dtype)


def _contract(columns: Tensor, matrix: Tensor) -> Tensor:
    """``[N, C * K, P]`` and ``[G, C_out / G, C / G * K]`` -> ``[N, G, C_out / G, P]``."""
    groups = len(matrix)
    if groups == 1:
        return torch.matmul(matrix[0], columns)[:, None]
    return torch.matmul(matrix, columns.unflatten(1, (groups, -1)))


def _row_blocks(n_rows: int, size: int) -> Iterator[tuple[int, int]]:
    for start in range(0, n_rows, size):
        yield start, min(start + size, n_rows)


def _pair(value: int | tuple[int, int]) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else value


def _checked_offset_groups(
    x: Tensor,
    offset: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    mask: Tensor | None,
    taps: _Taps,
) -> int:
    """Number of offset groups of arguments that fit each other."""
    if x.ndim != 4 or weight.ndim != 4:
        raise ValueError(
            f"x must be [N, C, H, W] and weight [C_out, C / G, kh, kw], got {list(x.shape)} and "
            f"{list(weight.shape)}"
        )
    n, channels = x.shape[:2]
    groups, rest = divmod(channels, weight.shape[1])
    if rest or groups == 0 or weight.shape[0] % groups:
        raise ValueError(f"weight {list(weight.shape)} does not fit the {channels} channels of x")
    if bias is not None and bias.shape != weight.shape[:1]:
        raise ValueError(f"bias must be [{weight.shape[0]}], got {list(bias.shape)}")
    size = [taps.output_size(axis, x.shape[2 + axis]) for axis in (0, 1)]
    if min(size) < 1:
        raise ValueError(f"x {list(x.shape)} is smaller than the kernel {list(taps.kernel)}")
    n_groups = offset.shape[1] // (2 * taps.per_kernel) if offset.ndim == 4 else 0
    expected = [n, 2 * taps.per_kernel * n_groups, *size]
    if n_groups == 0 or list(offset.shape) != expected or channels % n_groups:
        raise ValueError(
            f"offset must be [{n}, D * {2 * taps.per_kernel}, {size[0]}, {size[1]}] with D a "
            f"divisor of {channels}, got {list(offset.shape)}"
        )
    expected = [n, taps.per_kernel * n_groups, *size]
    if mask is not None and list(mask.shape) != expected:
        raise ValueError(f"mask must be {expected}, got {list(mask.shape)}")
    return n_groups
