"""Texture from playback as a module without parameters; see :func:`sz_models.classical.tfp`."""

from __future__ import annotations

from torch import Tensor, nn

from ..classical import tfp

__all__ = ["TFPModel"]


class TFPModel(nn.Module):
    """Texture from playback at the central frame: ``[B, T, H, W]`` -> ``[B, 1, H, W]``.

    Args:
        model_win_length: frames of the window.
    """

    receptive_radius = 0

    def __init__(self, model_win_length: int = 41) -> None:
        super().__init__()
        self.model_win_length = model_win_length

    def forward(self, spike: Tensor) -> Tensor:
        return tfp(spike, window=self.model_win_length)
