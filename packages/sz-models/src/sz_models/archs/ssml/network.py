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
        square = mirror_pad(spike, left, side - width - left, top, side - height - top)
        views = [
            features[..., top : top + height, left : left + width]
            for features in self._views(square)
        ]
        if torch.is_grad_enabled():
            return self._mix(views)
        rows = max(1, _PIXELS // (len(spike) * width))
        blocks = zip(*(view.split(rows, dim=2) for view in views), strict=True)
        return torch.cat([self._mix(block) for block in blocks], dim=2)

    def _views(self, square: Tensor) -> list[Tensor]:
        """Features ``[B, 96, S, S]`` seen under each rotation, turned back."""
        counts, intervals = self.MotionInference.maps(square)
        turned = [
            tuple(torch.rot90(x, -turns, (2, 3)) for x in (square, counts, intervals))
            for turns in range(4)
        ]
        if torch.is_grad_enabled():
            together = [torch.cat(parts) for parts in zip(*turned, strict=True)]
            features = list(self._features(*together).chunk(4))
        else:
            # One rotation at a time needs a quarter of the memory.
            features = [self._features(*parts) for parts in turned]
        return [torch.rot90(x, turns, (2, 3)) for turns, x in enumerate(features)]

    def _features(self, square: Tensor, counts: Tensor, intervals: Tensor) -> Tensor:
        motion = self.MotionInference(counts, intervals)
        features = self.unet(cpu_layout(torch.cat([square, motion], dim=1)))
        return shift_down(features) if self.blind else features

    def _mix(self, views: list[Tensor] | tuple[Tensor, ...]) -> Tensor:
        x = torch.cat(list(views), dim=1)
        x = functional.leaky_relu(self.nin_A(x), SLOPE, inplace=True)
        x = functional.leaky_relu(self.nin_B(x), SLOPE, inplace=True)
        return self.nin_C(x)
