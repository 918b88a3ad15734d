"""Gaussian-weighted playback as a module without parameters; see `sz_models.classical.gtfp`."""

from __future__ import annotations

import math

from torch import Tensor, nn

from ..classical import gtfp

__all__ = ["GTFPModel"]


class GTFPModel(nn.Module):
    """Gaussian-weighted mean of the stream: ``[B, T, H, W]`` -> ``[B, 1, H, W]``.

    Args:
        sigma: standard deviation of the weights in frames.
        model_win_length: use this many frames only; ``None`` = all.
    """

    receptive_radius = 0

    def __init__(self, sigma: float = 5.0, model_win_length: int | None = None) -> None:
        super().__init__()
        if not 0 < sigma < math.inf:
            raise ValueError(f"sigma must be a positive number, got {sigma}")
        self.sigma = sigma
        self.model_win_length = model_win_length

    def forward(self, spike: Tensor, key_frame: int | None = None) -> Tensor:
        return gtfp(spike, key_frame, sigma=self.sigma, window=self.model_win_length)
