"""Image and motion at one scale from those at the next coarser one.

A scale's image is ``[B, 1, h, w]``; its flows ``[B, 4, h, w]`` hold the motion from the middle
block to the first (channels 0, 1) and to the last (channels 2, 3).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .blocks import Cascade, DimReduce, conv3, deconv
from .warp import warp

__all__ = ["CoarsestDecoder", "Decoder", "FinestDecoder", "Scale"]

_FLOWS = 4
_EXTRA_GROUPS = 2


class Scale(NamedTuple):
    """What a decoder hands to the next finer one; ``upflow`` is the flow it started from."""

    image: Tensor
    hidden: Tensor
    flow: Tensor
    upflow: Tensor


class CoarsestDecoder(nn.Module):
    """First estimate, from the transformer's features ``[B, C, H/16, W/16]``."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.convrelu = nn.Sequential(conv3(channels, channels), nn.PReLU(channels))
        self.resblocks = Cascade(channels)
        self.predict_img_flow = conv3(channels, 1 + _FLOWS)

    def forward(self, features: Tensor) -> Scale:
        hidden = self.resblocks(self.convrelu(features))
        flow, image = self.predict_img_flow(hidden).split([_FLOWS, 1], 1)
        return Scale(image, hidden, flow, flow)


class Decoder(nn.Module):
    """Refines a scale with the features of the three blocks at twice its size.

    Args:
        channels: of the features.
        before: hidden channels of the coarser scale.
        carried: hidden channels taken over from it.
    """

    def __init__(self, channels: int, before: int, carried: int) -> None:
        super().__init__()
        self.deconv_flow = deconv(_FLOWS, _FLOWS)
        self.deconv_hidden = deconv(before, carried)
        after = 3 * channels
        self.convrelu = DimReduce(1 + after + carried + _FLOWS, after)
        self.resblocks = Cascade(after)
        self.predict_img_flow = conv3(after, 1 + _FLOWS)

    def forward(self, coarse: Scale, features: tuple[Tensor, Tensor, Tensor]) -> Scale:
        first, middle, last = features
        upflow = self.deconv_flow(coarse.flow)
        warped = warp(first, upflow[:, :2]), warp(last, upflow[:, 2:])
        inputs = [_double(coarse.image), middle, *warped, self.deconv_hidden(coarse.hidden), upflow]
        hidden = self.resblocks(self.convrelu(torch.cat(inputs, 1)))
        flow, image = self.predict_img_flow(hidden).split([_FLOWS, 1], 1)
        return Scale(image, hidden, flow + upflow, upflow)


class FinestDecoder(nn.Module):
    """Image at full size, from representations warped along three flows to either side.

    Args:
        channels: of the representations.
        before: hidden channels of the coarser scale.
        carried: hidden channels taken over from it.
    """

    def __init__(self, channels: int, before: int, carried: int) -> None:
        super().__init__()
        extra = _EXTRA_GROUPS * _FLOWS
        self.predict_flow_group = conv3(before, extra)
        self.deconv_flow_group = deconv(extra, extra)
        self.deconv_flow = deconv(_FLOWS, _FLOWS)
        self.deconv_hidden = deconv(before, carried)
        after = 3 * channels
        warped = 2 * _EXTRA_GROUPS * channels
        self.convrelu = DimReduce(1 + after + warped + carried + _FLOWS + extra, after)
        self.resblocks = Cascade(after)
        self.predict_img = conv3(after, 1)

    def forward(self, coarse: Scale, features: tuple[Tensor, Tensor, Tensor]) -> Scale:
        first, middle, last = features
        # The groups start from the flow the coarser decoder started from, not from its result.
        group = self.predict_flow_group(coarse.hidden) + coarse.upflow.repeat(
            1, _EXTRA_GROUPS, 1, 1
        )
        upgroup = self.deconv_flow_group(group)
        upflow = self.deconv_flow(coarse.flow)
        warped = [
            warp(source, flow)
            for flows in (upflow, *upgroup.chunk(_EXTRA_GROUPS, 1))
            for source, flow in zip((first, last), flows.chunk(2, 1), strict=True)
        ]
        uphidden = self.deconv_hidden(coarse.hidden)
        inputs = [_double(coarse.image), middle, *warped, uphidden, upflow, upgroup]
        hidden = self.resblocks(self.convrelu(torch.cat(inputs, 1)))
        return Scale(self.predict_img(hidden), hidden, upflow, upflow)


def _double(image: Tensor) -> Tensor:
    return F.interpolate(image, scale_factor=2, mode="bilinear", align_corners=False)
