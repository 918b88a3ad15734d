"""Spatio-temporal interactive learning: image and motion estimated together, coarse to fine.

    spikes [B, T, H, W] -> three overlapping blocks of frames -> representation r_k (k = 0, 1, 2)
    r_k -> features c_k^l at H / 2^l, l = 1 .. 4 -> attention at l = 4
    l = 4 .. 0: image and flows from those at l + 1 and from c_1^l, warp(c_0^l), warp(c_2^l)

Fan et al., "Spatio-Temporal Interactive Learning for Efficient Image Reconstruction of Spiking
Cameras", NeurIPS 2024.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ...layout import cpu_layout
from .blocks import Cascade, conv_unit
from .decoders import CoarsestDecoder, Decoder, FinestDecoder, Scale
from .representation import LEARNED_CHANNELS, ResidualBlock, nested_means, window_count
from .transformer import CrossTransformer

__all__ = ["STIR"]

_BLOCKS = {61: (21, 20), 41: (15, 13)}
_WIDTHS = (24, 32, 64, 96)
_MULTIPLE = 16


class Encoder(nn.Module):
    """Representation ``[B, D, H, W]`` -> features at H/2, H/4, H/8, H/16."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        half, quarter, eighth, sixteenth = _WIDTHS
        self.conv0 = conv_unit(channels, 16, kernel=7)
        self.conv1 = conv_unit(16, half, stride=2)
        self.resblocks1 = Cascade(half)
        self.conv2 = conv_unit(half, quarter, stride=2)
        self.resblocks2 = Cascade(quarter)
        self.conv3 = conv_unit(quarter, eighth, stride=2)
        self.resblocks3 = Cascade(eighth)
        self.conv4 = conv_unit(eighth, sixteenth, stride=2)
        self.resblocks4 = Cascade(sixteenth)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        half = self.resblocks1(self.conv1(self.conv0(x)))
        quarter = self.resblocks2(self.conv2(half))
        eighth = self.resblocks3(self.conv3(quarter))
        return half, quarter, eighth, self.resblocks4(self.conv4(eighth))


class STIR(nn.Module):
    """Joint motion and image network, about 5.1 M parameters.

    In evaluation mode the output is the image ``[B, 1, H, W]``, not clamped. In training mode it
    is a list of seven: the clamped image; for each of the scales H, H/2, H/4, H/8 a list of its
    clamped image and the two flows it started from; a list of the clamped image at H/16; a list
    of three times the unclamped image.

    Args:
        spike_dim: input frames, 61 or 41.
        hidd_chs: hidden channels handed from one scale to the next.
        win_r: not used; part of the published signature.
        win_step: not used; part of the published signature.

    Raises:
        ValueError: another number of frames, or H or W not a multiple of 16.

    Example:
        >>> import torch
        >>> STIR(41).eval()(torch.zeros(1, 41, 16, 16)).shape
        torch.Size([1, 1, 16, 16])
    """

    needs_whole_image = "its attention compares statistics of the whole image"

    def __init__(
        self, spike_dim: int = 61, hidd_chs: int = 8, win_r: int = 6, win_step: int = 7
    ) -> None:
        super().__init__()
        if spike_dim not in _BLOCKS:
            raise ValueError(f"STIR takes spike_dim 61 or 41, got {spike_dim}")
        self.spike_dim = spike_dim
        self.block_length, self.block_step = _BLOCKS[spike_dim]
        channels = window_count(self.block_length) + LEARNED_CHANNELS
        half, quarter, eighth, sixteenth = _WIDTHS
        self.resnet = ResidualBlock(self.block_length, LEARNED_CHANNELS)
        self.encoder = Encoder(channels)
        self.transformer = CrossTransformer(sixteenth)
        self.decorder_5nd = CoarsestDecoder(3 * sixteenth)
        self.decorder_4nd = Decoder(eighth, 3 * sixteenth, hidd_chs)
        self.decorder_3rd = Decoder(quarter, 3 * eighth, hidd_chs)
        self.decorder_2nd = Decoder(half, 3 * quarter, hidd_chs)
        self.decorder_1st = FinestDecoder(channels, 3 * half, hidd_chs)

    def forward(self, spike: Tensor) -> Tensor | list[Tensor | list[Tensor]]:
        self._check(spike)
        n, step = self.block_length, self.block_step
        blocks = torch.cat([spike[:, k * step : k * step + n] for k in range(3)])
        learned = self.resnet(cpu_layout(blocks))
        representation = cpu_layout(torch.cat([nested_means(blocks), learned], 1))
        half, quarter, eighth, sixteenth = (_split(c) for c in self.encoder(representation))
        first, middle, last = sixteenth
        scales = [self.decorder_5nd(self.transformer(middle, first, last))]
        scales.append(self.decorder_4nd(scales[-1], eighth))
        scales.append(self.decorder_3rd(scales[-1], quarter))
        scales.append(self.decorder_2nd(scales[-1], half))
        scales.append(self.decorder_1st(scales[-1], _split(representation)))
        return _training_outputs(scales) if self.training else scales[-1].image

    def _check(self, spike: Tensor) -> None:
        if spike.ndim != 4 or spike.shape[1] != self.spike_dim:
            raise ValueError(
                f"STIR takes spikes [B, {self.spike_dim}, H, W], got {list(spike.shape)}"
            )
        if spike.shape[2] % _MULTIPLE or spike.shape[3] % _MULTIPLE:
            raise ValueError(
                f"STIR needs H and W in multiples of {_MULTIPLE}, got {list(spike.shape[2:])}; the "
                "wrapper sz_models.STIR pads any size"
            )


def _split(features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    first, middle, last = features.chunk(3)
    return first, middle, last


def _training_outputs(scales: list[Scale]) -> list[Tensor | list[Tensor]]:
    *refined, coarsest = reversed(scales)
    image = refined[0].image
    outputs: list[Tensor | list[Tensor]] = [image.clamp(0, 1)]
    outputs += [[s.image.clamp(0, 1), s.upflow[:, :2], s.upflow[:, 2:]] for s in refined]
    outputs += [[coarsest.image.clamp(0, 1)], [image] * 3]
    return outputs
