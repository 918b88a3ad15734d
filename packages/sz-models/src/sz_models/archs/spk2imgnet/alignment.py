"""Alignment of features to those of a reference: coarse to fine, by deformable convolutions.

Levels 1, 2, 3 have H x W, H/2 x W/2, H/4 x W/4 pixels.

Wang et al., "EDVR: video restoration with enhanced deformable convolutional networks", CVPRW 2019.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..deform_conv import deform_conv2d

__all__ = ["PyramidAlignment", "Reference"]

_OFFSET_GROUPS = 8
_TAPS = 9

Pyramid = tuple[Tensor, Tensor, Tensor]


class Reference(NamedTuple):
    """What the reference adds to the offsets of each level, and to those of the last step."""

    level1: Tensor
    level2: Tensor
    level3: Tensor
    cascade: Tensor


class PyramidAlignment(nn.Module):
    """Moves the features of a neighbouring window to where the reference has them.

    Args:
        features: channels, a multiple of 8.
    """

    def __init__(self, features: int) -> None:
        super().__init__()
        self.fea_L2_conv1 = nn.Conv2d(features, features, 3, stride=2, padding=1)
        self.fea_L2_conv2 = nn.Conv2d(features, features, 3, padding=1)
        self.fea_L3_conv1 = nn.Conv2d(features, features, 3, stride=2, padding=1)
        self.fea_L3_conv2 = nn.Conv2d(features, features, 3, padding=1)
        self.pcd_align = _CascadedAlignment(features)

    def pyramid(self, level1: Tensor) -> Pyramid:
        """Features ``[B, F, H, W]`` on the three levels; H and W are multiples of 4."""
        level2 = _leaky(self.fea_L2_conv2(_leaky(self.fea_L2_conv1(level1))))
        level3 = _leaky(self.fea_L3_conv2(_leaky(self.fea_L3_conv1(level2))))
        return level1, level2, level3

    def reference(self, features: Tensor) -> Reference:
        """What alignment needs of the reference ``[B, F, H, W]``, the same for all neighbours."""
        return self.pcd_align.reference(self.pyramid(features))

    def forward(self, neighbour: Pyramid, reference: Reference) -> Tensor:
        """Features of the neighbour, aligned to those of the reference, ``[B, F, H, W]``."""
        return self.pcd_align(neighbour, reference)


class _CascadedAlignment(nn.Module):
    """Offsets and aligned features of a level start from those of the coarser one."""

    def __init__(self, features: int) -> None:
        super().__init__()

        def conv(n_inputs: int) -> nn.Conv2d:
            return nn.Conv2d(n_inputs * features, features, 3, padding=1)

        self.L3_offset_conv1_1 = conv(2)
        self.L3_offset_conv2_1 = conv(1)
        self.L3_dcnpack_1 = _DeformablePack(features)
        self.L2_offset_conv1_1 = conv(2)
        self.L2_offset_conv2_1 = conv(2)
        self.L2_offset_conv3_1 = conv(1)
        self.L2_dcnpack_1 = _DeformablePack(features)
        self.L2_fea_conv_1 = conv(2)
        self.L1_offset_conv1_1 = conv(2)
        self.L1_offset_conv2_1 = conv(2)
        self.L1_offset_conv3_1 = conv(1)
        self.L1_dcnpack_1 = _DeformablePack(features)
        self.L1_fea_conv_1 = conv(2)
        self.cas_offset_conv1 = conv(2)
        self.cas_offset_conv2 = conv(1)
        self.cas_dcnpack = _DeformablePack(features)

    def reference(self, levels: Pyramid) -> Reference:
        """The share of the reference in the convolutions of (neighbour, reference)."""
        level1, level2, level3 = levels
        return Reference(
            _second_half(self.L1_offset_conv1_1, level1),
            _second_half(self.L2_offset_conv1_1, level2),
            _second_half(self.L3_offset_conv1_1, level3),
            _second_half(self.cas_offset_conv1, level1),
        )

    def forward(self, neighbour: Pyramid, reference: Reference) -> Tensor:
        n1, n2, n3 = neighbour
        offset3 = _leaky(_first_half(self.L3_offset_conv1_1, n3) + reference.level3)
        offset3 = _leaky(self.L3_offset_conv2_1(offset3))
        aligned3 = _leaky(self.L3_dcnpack_1(n3, offset3))

        offset2 = _leaky(_first_half(self.L2_offset_conv1_1, n2) + reference.level2)
        # Offsets count pixels, of which the finer level has twice as many.
        offset2 = _leaky(self.L2_offset_conv2_1(_cat(offset2, 2 * _up(offset3))))
        offset2 = _leaky(self.L2_offset_conv3_1(offset2))
        aligned2 = _cat(self.L2_dcnpack_1(n2, offset2), _up(aligned3))
        aligned2 = _leaky(self.L2_fea_conv_1(aligned2))

        offset1 = _leaky(_first_half(self.L1_offset_conv1_1, n1) + reference.level1)
        offset1 = _leaky(self.L1_offset_conv2_1(_cat(offset1, 2 * _up(offset2))))
        offset1 = _leaky(self.L1_offset_conv3_1(offset1))
        aligned1 = _cat(self.L1_dcnpack_1(n1, offset1), _up(aligned2))
        aligned1 = self.L1_fea_conv_1(aligned1)

        offset = _leaky(_first_half(self.cas_offset_conv1, aligned1) + reference.cascade)
        offset = _leaky(self.cas_offset_conv2(offset))
        return _leaky(self.cas_dcnpack(aligned1, offset))


class _DeformablePack(nn.Module):
    """Deformable 3x3 convolution whose offsets and masks are convolved from other features."""

    def __init__(self, features: int) -> None:
        super().__init__()
        bound = 1 / math.sqrt(features * _TAPS)
        self.weight = nn.Parameter(torch.empty(features, features, 3, 3).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.zeros(features))
        self.conv_offset_mask = nn.Conv2d(features, 3 * _OFFSET_GROUPS * _TAPS, 3, padding=1)
        nn.init.zeros_(self.conv_offset_mask.weight)
        assert self.conv_offset_mask.bias is not None
        nn.init.zeros_(self.conv_offset_mask.bias)

    def forward(self, x: Tensor, offset_features: Tensor) -> Tensor:
        offset, mask = self.conv_offset_mask(offset_features).split(
            [2 * _OFFSET_GROUPS * _TAPS, _OFFSET_GROUPS * _TAPS], dim=1
        )
        return deform_conv2d(x, offset, self.weight, self.bias, mask.sigmoid(), padding=1)


def _leaky(x: Tensor) -> Tensor:
    return F.leaky_relu_(x, 0.1)


def _first_half(conv: nn.Conv2d, x: Tensor) -> Tensor:
    """The share of ``x`` in ``conv(cat((x, y)))``, without the bias."""
    return F.conv2d(x, conv.weight[:, : x.shape[1]], None, padding=1)


def _second_half(conv: nn.Conv2d, y: Tensor) -> Tensor:
    """The share of ``y`` in ``conv(cat((x, y)))``, with the bias."""
    return F.conv2d(y, conv.weight[:, -y.shape[1] :], conv.bias, padding=1)


def _cat(*maps: Tensor) -> Tensor:
    return torch.cat(maps, dim=1)


def _up(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
