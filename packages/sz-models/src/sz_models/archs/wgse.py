"""WGSE: a temporal wavelet transform with learned branches, then a residual network in space.

    spikes [B, T, H, W]
      -> five-level wavelet transform of each pixel's spikes (db8)
      -> one small temporal network per band, inverse transform: [B, T or T + 1, H, W]
      -> 3x3 convolutions, 256 channels -> image [B, 1, H, W], not negative

Zhang et al., "Learning temporal-ordered representation for spike streams based on discrete wavelet
transforms", AAAI 2023.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..layout import cpu_layout
from ..wavelet import WaveletAnalysis, WaveletSynthesis

__all__ = ["Dwt1dResnetX_TCN"]

_BAND_CHANNELS = 32
# Pixels in one pass through the temporal part: what the cache of a core holds, and about 0.5 GB on
# other devices.
_PIXELS_PER_THREAD = 256
_DEVICE_PIXELS = 65536


class Dwt1dResnetX_TCN(nn.Module):
    """Wavelet-guided network, about 3.8 M parameters.

    The temporal part runs over a few pixels at a time, which changes nothing but the memory.

    Args:
        wvlname: wavelet; only ``db8``.
        J: levels of the transform.
        yl_size: length of the low coefficients; not used, kept for released configurations.
        yh_size: lengths of the high coefficients, one per level; only their number counts.
        num_residual_blocks: residual blocks of the spatial part.
        norm: normalisation of the residual blocks; only ``None``.
        inc: input frames.
        ks: kernel size of the temporal part, odd.

    Raises:
        ValueError: another wavelet or normalisation, an even ``ks``, or ``yh_size`` without J
            entries.

    Example:
        >>> import torch
        >>> Dwt1dResnetX_TCN()(torch.zeros(1, 41, 4, 4)).shape
        torch.Size([1, 1, 4, 4])
    """

    def __init__(
        self,
        wvlname: str = "db8",
        J: int = 5,
        yl_size: int = 15,
        yh_size: Sequence[int] = (28, 21, 18, 16, 15),
        num_residual_blocks: int = 3,
        norm: None = None,
        inc: int = 41,
        ks: int = 3,
    ) -> None:
        super().__init__()
        if wvlname != "db8":
            raise ValueError(f"wvlname must be 'db8', got {wvlname!r}")
        if norm is not None:
            raise ValueError(f"norm must be None (there is no normalisation), got {norm!r}")
        if ks < 1 or ks % 2 == 0:
            raise ValueError(f"ks must be a positive odd number, got {ks}")
        if len(yh_size) != J:
            raise ValueError(f"yh_size must have one entry per level, J={J}, got {list(yh_size)}")
        # 3x3 convolutions: the first, two per block, two at the end.
        self.receptive_radius = 3 + 2 * num_residual_blocks
        self.wvl = _WaveletBranches(J, ks)
        self.resblocks = nn.ModuleList(_ResidualBlock(256) for _ in range(num_residual_blocks))
        self.conv = nn.Sequential(
            nn.Conv2d(inc + inc % 2, 256, 3, padding=1), nn.ReLU(inplace=True)
        )
        self.tail = nn.Sequential(
            nn.Conv2d(256, 64, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(64, 1, 3, padding=1),
            nn.ReLU(inplace=True),
        )

    def forward(self, spike: Tensor) -> Tensor:
        x = self.conv(cpu_layout(self.wvl(spike)))
        for block in self.resblocks:
            x = block(x)
        return self.tail(x)


class _WaveletBranches(nn.Module):
    """Wavelet transform, a branch per band, inverse transform: ``[B, T, H, W]`` -> the same."""

    def __init__(self, levels: int, kernel_size: int) -> None:
        super().__init__()
        self.yh_blocks = nn.ModuleList(_branch(kernel_size) for _ in range(levels))
        self.yl_block = _branch(kernel_size)
        self.dwt = WaveletAnalysis(levels)
        self.idwt = WaveletSynthesis()

    def forward(self, spike: Tensor) -> Tensor:
        signals = spike.flatten(2).unsqueeze(1)
        chunks = signals.split(max(1, _pixels(spike.device) // len(spike)), dim=3)
        filtered = torch.cat([self._filter(chunk) for chunk in chunks], dim=3)
        return filtered[:, 0].unflatten(2, spike.shape[2:])

    def _filter(self, signals: Tensor) -> Tensor:
        low, high = self.dwt(signals.contiguous())
        filtered = [branch(band) for branch, band in zip(self.yh_blocks, high, strict=True)]
        return self.idwt(self.yl_block(low), filtered)


def _pixels(device: torch.device) -> int:
    if device.type == "cpu":
        return _PIXELS_PER_THREAD * torch.get_num_threads()
    return _DEVICE_PIXELS


def _branch(kernel_size: int) -> nn.Sequential:
    return nn.Sequential(
        _TemporalResidual(_BAND_CHANNELS, kernel_size),
        _TimeSum(_BAND_CHANNELS, kernel_size),
        nn.ReLU(inplace=True),
    )


class _TemporalResidual(nn.Module):
    """relu(conv(relu(conv(x))) + x) along time, ``[N, 1, L, P]`` -> ``[N, C, L, P]``."""

    def __init__(self, channels: int, kernel_size: int) -> None:
        super().__init__()
        self.tcn0 = nn.Sequential(_TimeConv(1, channels, kernel_size), nn.ReLU(inplace=True))
        self.tcn1 = nn.Sequential(_TimeConv(channels, channels, kernel_size))

    def forward(self, x: Tensor) -> Tensor:
        return self.tcn1(self.tcn0(x)).add_(x).relu_()


class _TimeConv(nn.Conv1d):
    """Convolution along the time axis of ``[N, C, L, P]``, of the same length."""

    def __init__(self, inputs: int, outputs: int, kernel_size: int) -> None:
        super().__init__(inputs, outputs, kernel_size)
        self.reach = kernel_size // 2

    def forward(self, input: Tensor) -> Tensor:
        weight = self.weight.unsqueeze(-1)
        return functional.conv2d(input, weight, self.bias, padding=(self.reach, 0))


class _TimeSum(_TimeConv):
    """The same to a single channel; a product per tap and shifted sums are faster there."""

    def __init__(self, inputs: int, kernel_size: int) -> None:
        super().__init__(inputs, 1, kernel_size)

    def forward(self, input: Tensor) -> Tensor:
        length = input.shape[2]
        weight = self.weight.mT.expand(len(input), -1, -1)
        products = torch.bmm(weight, input.flatten(2)).unflatten(2, input.shape[2:])
        products = functional.pad(products, (0, 0, self.reach, self.reach))
        taps = [products[:, k : k + 1, k : k + length] for k in range(products.shape[1])]
        total = taps[0]
        for tap in taps[1:]:
            total = total + tap
        return total if self.bias is None else total + self.bias


class _ResidualBlock(nn.Module):
    """relu(x + conv(relu(conv(x))))."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv2(self.conv1(x).relu_()).add_(x).relu_()
