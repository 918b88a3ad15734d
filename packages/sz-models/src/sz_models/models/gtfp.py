"""Gaussian-weighted playback behind the model interface."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from ..config import BaseModelConfig
from ..streams import Spikes
from .windowed import WindowedModel

__all__ = ["GTFPConfig", "GTFPModel"]


@dataclass
class GTFPConfig(BaseModelConfig):
    """Configuration of :class:`GTFPModel`; ``model_win_length`` ``None`` is the whole stream."""

    model_name: str = "gtfp"
    model_cls_name: str = "GTFPModel"
    require_params: bool = False
    model_params: dict[str, Any] = field(
        default_factory=lambda: {"sigma": 5.0, "model_win_length": None}
    )


class GTFPModel(WindowedModel):
    """Gaussian-weighted playback; see :func:`sz_models.classical.gtfp`."""

    def input_length(self) -> int:
        """Frames whose weight counts; near the ends of a stream fewer will do."""
        net: Any = self.network()
        # Weights beyond 9 sigma vanish in the sum, so a long recording is read in part.
        return (
            2 * math.ceil(9 * net.sigma) + 1
            if net.model_win_length is None
            else super().input_length()
        )

    def image_at(self, spikes: Spikes, key_frame: int | None = None) -> Tensor:
        net: Any = self.network()
        if net.model_win_length is not None:
            return super().image_at(spikes, key_frame)
        key = self._key(spikes, key_frame)
        reach = self.input_length() // 2
        start, stop = max(0, key - reach), min(len(spikes), key + reach + 1)
        segment = self._segment(spikes, start, stop)
        return net(segment, key_frame=key - start)[0, 0]
