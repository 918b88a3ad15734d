"""Wrapper of methods that read a window around the key frame and have nothing to learn."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from ..classical.window import half_window
from .base import BaseModel

__all__ = ["WindowedModel"]


class WindowedModel(BaseModel):
    """The network takes the stream as it is and picks its window, of any length that fits."""

    def input_length(self) -> int:
        net: Any = self.network()
        return 2 * half_window(net.model_win_length, smallest=1) + 1

    def preprocess_spike(self, spike: Tensor) -> Tensor:
        self._check_spike(spike)
        self.spike_size = (spike.shape[2], spike.shape[3])
        return spike
