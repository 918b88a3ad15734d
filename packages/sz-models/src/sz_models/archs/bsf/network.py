"""Reconstruction from spike intervals of several orders, aligned over five windows in time.

    rates 1/dsft11, 2/dsft12, 2/dsft21, 3/dsft22 of a window -> features [B, 64, H, W]
    features of five windows, aligned to the middle one -> image [B, 1, H, W]

Zhao et al., "Boosting spike camera image reconstruction from a perspective of dealing with spike
fluctuations", CVPR 2024.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from ...layout import cpu_layout
from .alignment import PyramidAlignment
from .blocks import FEATURES, FeatureEncoder, IntervalFusion

__all__ = ["BSF"]

_WINDOWS = {61: (21, 10), 41: (13, 7)}
_N_WINDOWS = 5
_INTERVALS = {"dsft11": 1, "dsft12": 2, "dsft21": 2, "dsft22": 3}
_MULTIPLE = 4


class BSF(nn.Module):
    """Alignment of interval features, about 2.5 M parameters.

    The input is ``{"dsft_dict": {"dsft11": .., "dsft12": .., "dsft21": .., "dsft22": ..}}`` with
    the maps of :func:`sz_models.dsft.dsft`, each ``[B, T, H, W]``; other entries are ignored. The
    output is the image ``[B, 1, H, W]``, not clamped.

    Args:
        spike_dim: frames T, 61 or 41.

    Raises:
        ValueError: another number of frames, H or W not a multiple of 4, maps missing or of
            different shapes.

    Example:
        >>> import torch
        >>> from sz_models.dsft import dsft
        >>> BSF(41)({"dsft_dict": dsft(torch.zeros(1, 41, 8, 8))}).shape
        torch.Size([1, 1, 8, 8])
    """

    needs_whole_image = "its learned offsets may point anywhere in the image"

    def __init__(self, spike_dim: int = 61) -> None:
        super().__init__()
        if spike_dim not in _WINDOWS:
            raise ValueError(f"BSF takes spike_dim 61 or 41, got {spike_dim}")
        self.spike_dim = spike_dim
        self.window_length, self.window_step = _WINDOWS[spike_dim]
        self.rep = IntervalFusion(self.window_length)
        self.encoder = FeatureEncoder()
        self.align = PyramidAlignment()
        self.recons = nn.Sequential(
            nn.Conv2d(_N_WINDOWS * FEATURES, 3 * FEATURES, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(3 * FEATURES, FEATURES, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(FEATURES, 1, 3, padding=1),
        )

    def forward(self, inputs: Mapping[str, Mapping[str, Tensor]]) -> Tensor:
        maps = self._checked(inputs)
        # Window by window, so that only the result of each is kept in inference.
        features = [
            self.encoder(self.rep(self._rates(maps, i * self.window_step)))
            for i in range(_N_WINDOWS)
        ]
        return self.recons(torch.cat(self.align(features), 1))

    def _rates(self, maps: dict[str, Tensor], start: int) -> list[Tensor]:
        """Spikes per frame ``[B, n, H, W]`` of the window from ``start``, from each map."""
        dtype = next(self.parameters()).dtype
        window = slice(start, start + self.window_length)
        rates = [_INTERVALS[name] / counts[:, window].to(dtype) for name, counts in maps.items()]
        return rates if torch.is_grad_enabled() else [cpu_layout(rate) for rate in rates]

    def _checked(self, inputs: Mapping[str, Mapping[str, Tensor]]) -> dict[str, Tensor]:
        given = inputs.get("dsft_dict", {})
        missing = [name for name in _INTERVALS if name not in given]
        if missing:
            raise ValueError(
                f"BSF takes {{'dsft_dict': sz_models.dsft.dsft(spikes)}}; missing: {missing}"
            )
        maps = {name: given[name] for name in _INTERVALS}
        shapes = {tuple(counts.shape) for counts in maps.values()}
        shape = shapes.pop()
        if shapes or len(shape) != 4 or shape[1] != self.spike_dim:
            raise ValueError(
                f"BSF takes four maps [B, {self.spike_dim}, H, W], got {sorted({shape, *shapes})}"
            )
        if shape[2] % _MULTIPLE or shape[3] % _MULTIPLE:
            raise ValueError(
                f"BSF needs H and W in multiples of {_MULTIPLE}, got {list(shape[2:])}; the "
                "wrapper sz_models.BSF pads any size"
            )
        return maps
