"""Discrete wavelet transform with the Daubechies wavelet db8, zeros beyond both ends.

One level of analysis halves the length, one of synthesis doubles it:

    lo[i] = sum_k h0[k] x[2 i + k - 14]        x[n] = sum_i g0[n - 2 i + 14] lo[i]
    hi[i] = sum_k h1[k] x[2 i + k - 14]               + g1[n - 2 i + 14] hi[i]

A signal of odd length gets one zero at its end first, and comes back with it. The signals of all
pixels are transformed together: ``[N, 1, L, P]`` is N images of P pixels, L samples each.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["WaveletAnalysis", "WaveletSynthesis"]

_LOWPASS = (
    0.05441584224310401,
    0.31287159091429995,
    0.6756307362972898,
    0.5853546836542067,
    -0.015829105256349306,
    -0.2840155429615469,
    0.0004724845739132828,
    0.12874742662047847,
    -0.017369301001807547,
    -0.044088253930794755,
    0.013981027917398282,
    0.008746094047405777,
    -0.004870352993451574,
    -0.00039174037337694705,
    0.0006754494064505693,
    -0.00011747678412476953,
)
_HIGHPASS = tuple((-1) ** n * value for n, value in enumerate(reversed(_LOWPASS)))
_PADDING = len(_LOWPASS) - 2


class WaveletAnalysis(nn.Module):
    """Signals -> coefficients; the filters are buffers, so they are part of the state dict.

    Args:
        levels: how often the low half is split again.
    """

    h0: Tensor
    h1: Tensor

    def __init__(self, levels: int) -> None:
        super().__init__()
        self.levels = levels
        self.register_buffer("h0", _as_filter(_LOWPASS))
        self.register_buffer("h1", _as_filter(_HIGHPASS))

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """``[N, 1, L, P]`` -> low coefficients and the high ones of each level, finest first."""
        filters = torch.cat([self.h0, self.h1]).unsqueeze(-1)
        high = []
        for _ in range(self.levels):
            if x.shape[2] % 2:
                x = functional.pad(x, (0, 0, 0, 1))
            both = functional.conv2d(x, filters, stride=(2, 1), padding=(_PADDING, 0))
            x, hi = both.split(1, dim=1)
            high.append(hi)
        return x, high


class WaveletSynthesis(nn.Module):
    """Coefficients -> signals, the inverse of :class:`WaveletAnalysis`."""

    g0: Tensor
    g1: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("g0", _as_filter(_LOWPASS))
        self.register_buffer("g1", _as_filter(_HIGHPASS))

    def forward(self, low: Tensor, high: Sequence[Tensor]) -> Tensor:
        """Low coefficients and the high ones of each level, finest first -> ``[N, 1, L, P]``."""
        filters = torch.cat([self.g0, self.g1]).unsqueeze(-1)
        for hi in reversed(high):
            both = torch.cat([low[:, :, : hi.shape[2]], hi], dim=1)
            low = functional.conv_transpose2d(both, filters, stride=(2, 1), padding=(_PADDING, 0))
        return low


def _as_filter(values: Sequence[float]) -> Tensor:
    return torch.tensor(values).view(1, 1, -1)
