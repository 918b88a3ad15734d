"""Spk2ImgNet: features of five windows, aligned to the middle one, weighted and fused.

spikes [B, 41, H, W] -> five windows of 13 frames, 7 apart -> features -> image [B, 1, H, W]

Zhao et al., "Spk2ImgNet: learning to reconstruct dynamic scene from continuous spike stream",
CVPR 2021.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...layout import cpu_layout
from .alignment import PyramidAlignment
from .extractor import FeatureExtractor

__all__ = ["SpikeNet"]

_N_WINDOWS = 5
_REFERENCE = 2
_NEIGHBOURS = (0, 1, 3, 4)


class SpikeNet(nn.Module):
    """Network of Spk2ImgNet, about 3.9 M parameters; H and W are multiples of 4.

    Args:
        in_channels: frames of a window, ``2 * win_r + 1``.
        features: feature channels, a multiple of 8.
        out_channels: channels of the image.
        win_r: frames of a window on each side of its middle, at least 3.
        win_step: frames from one window to the next.

    Raises:
        ValueError: arguments or an input that do not fit.

    Example:
        >>> import torch
        >>> SpikeNet(features=8)(torch.zeros(1, 41, 8, 8)).shape
        torch.Size([1, 1, 8, 8])
    """

    needs_whole_image = "its learned offsets may point anywhere in the image"

    def __init__(
        self,
        in_channels: int = 13,
        features: int = 64,
        out_channels: int = 1,
        win_r: int = 6,
        win_step: int = 7,
    ) -> None:
        super().__init__()
        if in_channels != 2 * win_r + 1 or win_r < 3:
            raise ValueError(
                "in_channels must be 2 * win_r + 1 with win_r at least 3, got in_channels="
                f"{in_channels}, win_r={win_r}"
            )
        if features % 8:
            raise ValueError(f"features must be a multiple of 8, got {features}")
        self.in_channels = in_channels
        self.win_step = win_step
        self.extractor = FeatureExtractor(in_channels, features)
        for i in _NEIGHBOURS:
            self.add_module(f"mask{i}", _FusionMask(features))
        self.rec_conv0 = nn.Conv2d(_N_WINDOWS * features, 3 * features, 3, padding=1)
        self.rec_conv1 = nn.Conv2d(3 * features, features, 3, padding=1)
        self.rec_conv2 = nn.Conv2d(features, out_channels, 3, padding=1)
        self.pcd_align = PyramidAlignment(features)

    def forward(self, spike: Tensor) -> Tensor:
        """Spikes ``[B, T, H, W]`` -> image ``[B, 1, H, W]``."""
        features = [self.extractor(cpu_layout(window))[0] for window in self.windows(spike)]
        fused = F.relu_(self.rec_conv0(torch.cat(self._aligned(features), dim=1)))
        return self.rec_conv2(F.relu_(self.rec_conv1(fused)))

    def windows(self, spike: Tensor) -> list[Tensor]:
        """The five windows ``[B, in_channels, H, W]``; ``extractor`` makes light estimates."""
        n_frames = (_N_WINDOWS - 1) * self.win_step + self.in_channels
        if spike.ndim != 4 or spike.shape[1] < n_frames:
            raise ValueError(f"spikes must be [B, {n_frames}, H, W], got {list(spike.shape)}")
        if spike.shape[2] % 4 or spike.shape[3] % 4:
            raise ValueError(f"H and W must be multiples of 4, got {list(spike.shape[2:])}")
        return [spike.narrow(1, i * self.win_step, self.in_channels) for i in range(_N_WINDOWS)]

    def _aligned(self, features: list[Tensor]) -> list[Tensor]:
        """Features of the windows where the reference has them, the doubtful ones weakened."""
        reference = features[_REFERENCE]
        target = self.pcd_align.reference(reference)
        aligned = list(features)
        for i in _NEIGHBOURS:
            moved = self.pcd_align(self.pcd_align.pyramid(features[i]), target)
            aligned[i] = moved * self.get_submodule(f"mask{i}")(moved, reference)
        return aligned


class _FusionMask(nn.Module):
    """How far aligned features can be trusted: ``[B, F, H, W]`` in (0, 1)."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.conv0 = nn.Conv2d(2 * features, features, 3, padding=1)
        self.conv1 = nn.Conv2d(features, features, 3, padding=1)
        self.conv2 = nn.Conv2d(features, features, 3, padding=1)
        self.prelu0 = nn.PReLU()
        self.prelu1 = nn.PReLU()

    def forward(self, aligned: Tensor, reference: Tensor) -> Tensor:
        x = self.prelu0(self.conv0(torch.cat((aligned, reference), dim=1)))
        return self.conv2(self.prelu1(self.conv1(x))).sigmoid()
