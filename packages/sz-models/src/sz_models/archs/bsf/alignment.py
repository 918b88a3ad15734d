"""Alignment of the windows around the middle one, from coarse to fine.

Windows a, b, c, d, e; c is the reference. Features of a window are ``[B, 64, h, w]``.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ..deform_conv import deform_conv2d
from .attention import BlockAttention
from .blocks import FEATURES, double_size, two_conv

__all__ = ["PyramidAlignment"]

_REFERENCE = 2
_OFFSET_GROUPS = 4
_TAPS = 9
_MASKS = _OFFSET_GROUPS * _TAPS


class Aligned(NamedTuple):
    """Features of one scale: a, b, the reference, d, e; and raw offsets of a, b, d, e."""

    features: list[Tensor]
    offsets: list[Tensor]


class DeformConv(nn.Module):
    """Deformable convolution whose offsets and mask are three equal parts of one tensor."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(channels, channels, 3, 3))
        self.bias = nn.Parameter(torch.empty(channels))
        nn.init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        bound = 1 / math.sqrt(channels * _TAPS)
        nn.init.uniform_(self.bias, -bound, bound)

    def forward(self, x: Tensor, raw: Tensor) -> Tensor:
        offset, mask = raw.split([2 * _MASKS, _MASKS], 1)
        return deform_conv2d(x, offset, self.weight, self.bias, mask.sigmoid(), padding=1)


class CoarsestLevel(nn.Module):
    """Offsets and attention from scratch, at a quarter of the size."""

    def __init__(self) -> None:
        super().__init__()
        self.offset_conv_1 = two_conv(2 * FEATURES, FEATURES, 3 * _MASKS)

    def forward(
        self, features: list[Tensor], attention: BlockAttention, deform: DeformConv
    ) -> Aligned:
        reference = features[_REFERENCE]
        aligned, offsets = [], []
        for x in _others(features):
            x = attention(reference, x)
            offsets.append(self.offset_conv_1(torch.cat([x, reference], 1)))
            aligned.append(deform(x, offsets[-1]))
        return _around(reference, aligned, offsets)


class Level(nn.Module):
    """Refines the offsets and features of the coarser level."""

    def __init__(self) -> None:
        super().__init__()
        self.offset_conv_1 = two_conv(2 * FEATURES, FEATURES, FEATURES)
        self.offset_conv2_1 = two_conv(FEATURES + 3 * _MASKS, FEATURES, 3 * _MASKS)
        self.fuse_feat = two_conv(2 * FEATURES, FEATURES, FEATURES)

    def forward(
        self,
        features: list[Tensor],
        coarse: Aligned,
        attention: BlockAttention,
        deform: DeformConv,
    ) -> Aligned:
        reference = features[_REFERENCE]
        aligned, offsets = [], []
        # The published weights were trained with a, b, c, d of the coarser level handed to
        # a, b, d, e: d gets the reference, e gets d.
        for x, before, coarse_offset in zip(
            _others(features), coarse.features[:4], coarse.offsets, strict=True
        ):
            x = attention(reference, x)
            raw = self.offset_conv_1(torch.cat([x, reference], 1))
            raw = self.offset_conv2_1(torch.cat([raw, double_size(coarse_offset)], 1))
            x = torch.cat([deform(x, raw), double_size(before)], 1)
            aligned.append(self.fuse_feat(x))
            offsets.append(raw)
        return _around(reference, aligned, offsets)


class PyramidAlignment(nn.Module):
    """Five windows' features -> the same, aligned to the middle one."""

    def __init__(self) -> None:
        super().__init__()
        self.kpa = BlockAttention(FEATURES)
        self.deform_conv = DeformConv(FEATURES)
        self.conv_ds_L2 = two_conv(FEATURES, FEATURES, FEATURES, stride=2)
        self.conv_ds_L3 = two_conv(FEATURES, FEATURES, FEATURES, stride=2)
        self.align_L3 = CoarsestLevel()
        self.align_L2 = Level()
        self.align_L1 = Level()

    def forward(self, features: list[Tensor]) -> list[Tensor]:
        half = [self.conv_ds_L2(x) for x in features]
        quarter = [self.conv_ds_L3(x) for x in half]
        coarse = self.align_L3(quarter, self.kpa, self.deform_conv)
        middle = self.align_L2(half, coarse, self.kpa, self.deform_conv)
        return self.align_L1(features, middle, self.kpa, self.deform_conv).features


def _others(features: list[Tensor]) -> list[Tensor]:
    return features[:_REFERENCE] + features[_REFERENCE + 1 :]


def _around(reference: Tensor, aligned: list[Tensor], offsets: list[Tensor]) -> Aligned:
    return Aligned([*aligned[:_REFERENCE], reference, *aligned[_REFERENCE:]], offsets)
