"""Attention of blocks of 3x3 pixels to the 9x9 pixels around them.

    logits = q k / sqrt(C) + 99 (valid - 1),   out = ref + gamma * sum softmax(logits) v

Pixels outside the image are not valid.  ``[B, C, H, W]`` maps are cut into B x (H/3) x (W/3)
blocks with 9 queries and 81 keys each. The keys of adjacent blocks overlap: rows are copied three
times, columns not at all, as a view with overlapping strides is enough for the products.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["BlockAttention"]

_BLOCK = 3
_REACH = 3
_WINDOW = _BLOCK + 2 * _REACH
_MASKED = -99.0
# Elements of the copied rows that are held at once while no gradient is recorded: on a CPU they
# should stay in the cache, on other devices few large steps are faster.
_CPU_STRIP = 1 << 20
_DEVICE_STRIP = 1 << 26


class BlockAttention(nn.Module):
    """Pixels of ``ref`` gathered by their likeness to ``key``; ``gamma`` starts at 0."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.zeros(1))
        self.to_q = nn.Conv2d(channels, channels, 1, bias=False)
        self.to_k = nn.Conv2d(channels, channels, 1, bias=False)
        self.to_v = nn.Conv2d(channels, channels, 1, bias=False)

    def forward(self, key: Tensor, ref: Tensor) -> Tensor:
        return self.gather(self.queries(key), ref)

    def queries(self, key: Tensor) -> Tensor:
        """Queries ``[B, H, W, C]`` of ``key``, H and W padded to multiples of 3."""
        down, right = (-size % _BLOCK for size in key.shape[2:])
        return F.pad(_project(key, self.to_q), (0, 0, 0, right, 0, down))

    def gather(self, q: Tensor, ref: Tensor) -> Tensor:
        """``ref`` plus what the queries of :meth:`queries` find in it."""
        height, width = ref.shape[2:]
        down, right = -height % _BLOCK, -width % _BLOCK
        around = (0, 0, _REACH, _REACH + right, _REACH, _REACH + down)
        k = F.pad(_project(ref, self.to_k), around)
        v = F.pad(_project(ref, self.to_v), around)
        valid = torch.zeros(1, height, width, 1, dtype=q.dtype, device=q.device)
        bias = F.pad(valid, around, value=_MASKED)
        gathered = _attend(q, k, v, bias)[:, :height, :width].movedim(-1, 1)
        return ref + self.gamma * gathered


def _project(x: Tensor, conv: nn.Conv2d) -> Tensor:
    """1x1 convolution, the result ``[B, H, W, C]``."""
    return F.linear(x.movedim(1, -1), conv.weight.flatten(1))


def _attend(q: Tensor, k: Tensor, v: Tensor, bias: Tensor) -> Tensor:
    """Result ``[B, H, W, C]`` for queries of that size; k, v, bias have a border of 3 pixels."""
    n_rows = q.shape[1] // _BLOCK
    needs_grad = torch.is_grad_enabled() and any(t.requires_grad for t in (q, k, v))
    per_row = len(k) * _WINDOW * k.shape[2] * k.shape[3]
    most = _CPU_STRIP if k.device.type == "cpu" else _DEVICE_STRIP
    step = n_rows if needs_grad else max(1, min(n_rows, most // per_row))
    strips = []
    for start in range(0, n_rows, step):
        stop = min(start + step, n_rows)
        rows = slice(start * _BLOCK, stop * _BLOCK + 2 * _REACH)
        strips.append(
            _attend_strip(
                q[:, start * _BLOCK : stop * _BLOCK], k[:, rows], v[:, rows], bias[:, rows]
            )
        )
    return torch.cat(strips, 1)


def _attend_strip(q: Tensor, k: Tensor, v: Tensor, bias: Tensor) -> Tensor:
    n, height, width, channels = q.shape
    blocks = q.unflatten(1, (-1, _BLOCK)).unflatten(3, (-1, _BLOCK)).transpose(2, 3)
    out = F.scaled_dot_product_attention(
        blocks.reshape(-1, width // _BLOCK, _BLOCK**2, channels),
        _windows(k),
        _windows(v),
        _windows(bias).mT.repeat(n, 1, 1, 1),
    )
    out = out.view(n, height // _BLOCK, width // _BLOCK, _BLOCK, _BLOCK, channels)
    return out.transpose(2, 3).reshape(n, height, width, channels)


def _windows(x: Tensor) -> Tensor:
    """``[B, H, W, C]`` -> ``[B * rows, columns, 81, C]``: the 81 pixels are column by column."""
    rows = x.unfold(1, _WINDOW, _BLOCK).permute(0, 1, 2, 4, 3).flatten(0, 1).contiguous()
    return rows.unfold(1, _WINDOW, _BLOCK).permute(0, 1, 4, 2, 3).flatten(2, 3)
