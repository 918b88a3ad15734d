"""The two networks of SSML, alike but for the blind spot, and their common frame.

spikes [B, 41, H, W] -> mirrored to a square -> four rotations
  -> motion features beside the spikes -> U-net: 96 features each
  -> rotated back, side by side -> three 1x1 convolutions -> image [B, 1, H, W]
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from ...layout import cpu_layout
from ...mirror import mirror_pad
from .blindspot import SLOPE, shift_down
from .motion import FRAMES, MotionInference
from .unet import UNet

__all__ = ["DoubleNet"]

_SMALLEST = 4
_MOTION_FEATURES = 16
_FEATURES = 96
# Pixels per pass of the last layers without gradients: 100 MB of features.
_PIXELS = 65536
# How many pixels away a feature of the U-net still depends on its input.
_REACH = 48
_BLIND_REACH = 88

_Borders = tuple[int, ...]


class DoubleNet(nn.Module):
    """Blind-spot network and its student, 2.4 M parameters together.

    In evaluation mode the image of the student; in training mode both, ``(blind, student)``.

    Example:
        >>> import torch
        >>> DoubleNet().eval()(torch.zeros(1, 41, 6, 8)).shape
        torch.Size([1, 1, 6, 8])
    """

    optional_state = ("bsn.",)
    """Prefixes of keys that a weight file may lack: the student alone makes images."""

    needs_whole_image = "its channel attention pools the whole image"

    def __init__(self) -> None:
        super().__init__()
        self.nbsn = _RotatedNet(blind=False)
        self.bsn = _RotatedNet(blind=True)

    def forward(self, spike: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """Spikes ``[B, 41, H, W]`` -> images ``[B, 1, H, W]``.

        Raises:
            ValueError: not 41 frames, or neither H nor W reaches 4.
        """
        _, frames, height, width = spike.shape
        if frames != FRAMES:
            raise ValueError(f"ssml takes {FRAMES} frames, got {frames}")
        if max(height, width) < _SMALLEST:
            raise ValueError(
                f"ssml needs images of at least {_SMALLEST} pixels along one side, got "
                f"{height} x {width}"
            )
        if self.training:
            return self.bsn(spike), self.nbsn(spike)
        return self.nbsn(spike)


class _RotatedNet(nn.Module):
    """One network over the four rotations of the image."""

    def __init__(self, *, blind: bool) -> None:
        super().__init__()
        self.blind = blind
        self.unet = UNet(FRAMES + _MOTION_FEATURES, blind=blind)
        self.nin_A = nn.Conv2d(4 * _FEATURES, 4 * _FEATURES, 1, bias=False)
        self.nin_B = nn.Conv2d(4 * _FEATURES, _FEATURES, 1, bias=False)
        self.nin_C = nn.Conv2d(_FEATURES, 1, 1, bias=False)
        self.MotionInference = MotionInference(blind=blind)

    def forward(self, spike: Tensor) -> Tensor:
        height, width = spike.shape[2:]
        side = max(height, width)
        top, left = (side - height) // 2, (side - width) // 2
        borders = (top, side - width - left, side - height - top, left)
        square = mirror_pad(spike, left, borders[1], top, borders[2])
        turned = [torch.rot90(square, -turns, (2, 3)) for turns in range(4)]
        if torch.is_grad_enabled():
            features = self._features(self._inputs(torch.cat(turned))).chunk(4)
            views = [
                _without(torch.rot90(x, turns, (2, 3)), borders) for turns, x in enumerate(features)
            ]
            return self._mix(views)
        views = [self._view(turns, x, borders) for turns, x in enumerate(turned)]
        rows = max(1, _PIXELS // (len(spike) * width))
        blocks = zip(*(view.split(rows, dim=2) for view in views), strict=True)
        return torch.cat([self._mix(block) for block in blocks], dim=2)

    def _view(self, turns: int, turned: Tensor, borders: _Borders) -> Tensor:
        """Features ``[B, 96, H, W]`` seen under one rotation, turned back.

        One rotation at a time needs a quarter of the memory, and of the mirrored borders only what
        reaches the image is computed.
        """
        reach = _BLIND_REACH if self.blind else _REACH
        # Multiples of 4 keep the poolings in step.
        skipped = tuple(max(0, border - reach) // 4 * 4 for border in borders)
        skipped_here = tuple(skipped[(i - turns) % 4] for i in range(4))
        features = self._features(_without(self._inputs(turned), skipped_here))
        left_over = tuple(border - skip for border, skip in zip(borders, skipped, strict=True))
        return _without(torch.rot90(features, turns, (2, 3)), left_over)

    def _inputs(self, square: Tensor) -> Tensor:
        return torch.cat([square, self.MotionInference(square)], dim=1)

    def _features(self, inputs: Tensor) -> Tensor:
        features = self.unet(cpu_layout(inputs))
        return shift_down(features) if self.blind else features

    def _mix(self, views: list[Tensor] | tuple[Tensor, ...]) -> Tensor:
        x = torch.cat(list(views), dim=1)
        x = functional.leaky_relu(self.nin_A(x), SLOPE, inplace=True)
        x = functional.leaky_relu(self.nin_B(x), SLOPE, inplace=True)
        return self.nin_C(x)


def _without(x: Tensor, borders: _Borders) -> Tensor:
    """``[..., H, W]`` less borders (top, right, bottom, left)."""
    top, right, bottom, left = borders
    return x[..., top : x.shape[-2] - bottom, left : x.shape[-1] - right]
