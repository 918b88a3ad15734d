"""Attention between the features of the middle block and of the two others, across channels.

    A_N = softmax(q_N k_N^T * temperature_N),   out_N = A_N v_N,   N = 1, 2

q, k of a head are ``[channels, pixels]``, normalised along the pixels.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["CrossTransformer"]

_HEADS = 4
_EXPANSION = 2.66


class LayerNorm(nn.Module):
    """Normalises the channels of every pixel; ``body`` holds weight and bias."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.LayerNorm(channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x.movedim(1, -1)).movedim(-1, 1)


class FeedForward(nn.Module):
    """Gated expansion: project_out(gelu(a) * b), (a, b) = dwconv(project_in(x))."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = int(channels * _EXPANSION)
        self.project_in = nn.Conv2d(channels, 2 * hidden, 1, bias=False)
        self.dwconv = nn.Conv2d(2 * hidden, 2 * hidden, 3, padding=1, groups=2 * hidden, bias=False)
        self.project_out = nn.Conv2d(hidden, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        gate, value = self.dwconv(self.project_in(x)).chunk(2, 1)
        return self.project_out(F.gelu(gate) * value)


class CrossAttention(nn.Module):
    """One query, two key-value inputs, two outputs."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.temperature1 = nn.Parameter(torch.ones(_HEADS, 1, 1))
        self.temperature2 = nn.Parameter(torch.ones(_HEADS, 1, 1))
        wide = 2 * channels
        self.q = nn.Conv2d(channels, wide, 1, bias=False)
        self.kv1 = nn.Conv2d(channels, wide, 1, bias=False)
        self.kv2 = nn.Conv2d(channels, wide, 1, bias=False)
        self.q_dwconv = nn.Conv2d(wide, wide, 3, padding=1, groups=channels, bias=False)
        self.kv1_dwconv = nn.Conv2d(wide, wide, 3, padding=1, groups=wide, bias=False)
        self.kv2_dwconv = nn.Conv2d(wide, wide, 3, padding=1, groups=wide, bias=False)

    def forward(self, x: Tensor, other1: Tensor, other2: Tensor) -> tuple[Tensor, Tensor]:
        q1, q2 = self.q_dwconv(self.q(x)).chunk(2, 1)
        k1, v1 = self.kv1_dwconv(self.kv1(other1)).chunk(2, 1)
        k2, v2 = self.kv2_dwconv(self.kv2(other2)).chunk(2, 1)
        return _attend(q1, k1, v1, self.temperature1), _attend(q2, k2, v2, self.temperature2)


class CrossTransformer(nn.Module):
    """Features ``[B, C, H, W]`` of the blocks (middle, first, last) -> ``[B, 3C, H, W]``."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm1 = LayerNorm(channels)
        self.norm_kv1 = LayerNorm(channels)
        self.norm_kv2 = LayerNorm(channels)
        self.attn = CrossAttention(channels)
        self.norm2 = LayerNorm(channels)
        self.ffn = FeedForward(channels)

    def forward(self, x: Tensor, other1: Tensor, other2: Tensor) -> Tensor:
        pair = self.attn(self.norm1(x), self.norm_kv1(other1), self.norm_kv2(other2))
        out1, out2 = self.ffn(self.norm2(torch.cat(pair))).chunk(2)
        return torch.cat([out1, x, out2], 1)


def _attend(q: Tensor, k: Tensor, v: Tensor, temperature: Tensor) -> Tensor:
    q, k, v_heads = (t.unflatten(1, (_HEADS, -1)).flatten(3) for t in (q, k, v))
    logits = F.normalize(q, dim=-1) @ F.normalize(k, dim=-1).transpose(-2, -1) * temperature
    return (logits.softmax(-1) @ v_heads).flatten(1, 2).unflatten(2, v.shape[2:])
