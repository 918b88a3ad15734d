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
from .blocks import FEATURES, TwoConv, double_size

__all__ = ["PyramidAlignment"]

_REFERENCE = 2
# Windows besides the reference whose aligned features a finer level makes use of.
_HANDED_ON = 3
_OFFSET_GROUPS = 4
_TAPS = 9
_MASKS = _OFFSET_GROUPS * _TAPS


class Aligned(NamedTuple):
    """Features of one scale: a, b, the reference, d and, at the finest, e; offsets: a, b, d, e."""

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
        self.offset_conv_1 = TwoConv(2 * FEATURES, FEATURES, 3 * _MASKS)

    def forward(
        self, features: list[Tensor], attention: BlockAttention, deform: DeformConv
    ) -> Aligned:
        reference, others = _split(features)
        query = attention.queries(reference)
        shared = self.offset_conv_1.prepared(reference)
        aligned, offsets = [], []
        for x in others:
            x = attention.gather(query, x)
            offsets.append(self.offset_conv_1.joined(x, shared))
            if len(aligned) < _HANDED_ON:
                aligned.append(deform(x, offsets[-1]))
        return _around(reference, aligned, offsets)


class Level(nn.Module):
    """Refines the offsets and features of the coarser level.

    Args:
        finest: align all windows, not only those that a finer level makes use of.
    """

    def __init__(self, *, finest: bool) -> None:
        super().__init__()
        self.offset_conv_1 = TwoConv(2 * FEATURES, FEATURES, FEATURES)
        self.offset_conv2_1 = TwoConv(FEATURES + 3 * _MASKS, FEATURES, 3 * _MASKS)
        self.fuse_feat = TwoConv(2 * FEATURES, FEATURES, FEATURES)
        self.n_aligned = _HANDED_ON + finest

    def forward(
        self,
        features: list[Tensor],
        coarse: Aligned,
        attention: BlockAttention,
        deform: DeformConv,
    ) -> Aligned:
        reference, others = _split(features)
        query = attention.queries(reference)
        shared = self.offset_conv_1.prepared(reference)
        aligned, offsets = [], []
        # The published weights were trained with a, b, c, d of the coarser level handed to
        # a, b, d, e: d gets the reference, e gets d, and the coarser e is never used.
        for x, before, coarse_offset in zip(others, coarse.features, coarse.offsets, strict=True):
            x = attention.gather(query, x)
            raw = self.offset_conv_1.joined(x, shared)
            upsampled = self.offset_conv2_1.prepared(double_size(coarse_offset))
            offsets.append(self.offset_conv2_1.joined(raw, upsampled))
            if len(aligned) < self.n_aligned:
                upsampled = self.fuse_feat.prepared(double_size(before))
                aligned.append(self.fuse_feat.joined(deform(x, offsets[-1]), upsampled))
        return _around(reference, aligned, offsets)


class PyramidAlignment(nn.Module):
    """Five windows' features -> the same, aligned to the middle one."""

    def __init__(self) -> None:
        super().__init__()
        self.kpa = BlockAttention(FEATURES)
        self.deform_conv = DeformConv(FEATURES)
        self.conv_ds_L2 = TwoConv(FEATURES, FEATURES, FEATURES, stride=2)
        self.conv_ds_L3 = TwoConv(FEATURES, FEATURES, FEATURES, stride=2)
        self.align_L3 = CoarsestLevel()
        self.align_L2 = Level(finest=False)
        self.align_L1 = Level(finest=True)

    def forward(self, features: list[Tensor]) -> list[Tensor]:
        half = [self.conv_ds_L2(x) for x in features]
        quarter = [self.conv_ds_L3(x) for x in half]
        coarse = self.align_L3(quarter, self.kpa, self.deform_conv)
        middle = self.align_L2(half, coarse, self.kpa, self.deform_conv)
        return self.align_L1(features, middle, self.kpa, self.deform_conv).features


def _split(features: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
    return features[_REFERENCE], features[:_REFERENCE] + features[_REFERENCE + 1 :]


def _around(reference: Tensor, aligned: list[Tensor], offsets: list[Tensor]) -> Aligned:
    return Aligned([*aligned[:_REFERENCE], reference, *aligned[_REFERENCE:]], offsets)
