"""BSF behind the model interface."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from torch import Tensor

from ..config import BaseModelConfig
from ..dsft import dsft
from .padded import PaddedModel

__all__ = ["BSF", "BSFConfig"]


@dataclass
class BSFConfig(BaseModelConfig):
    """Configuration of :class:`BSF`; version v010 takes 61 frames, v023 takes 41."""

    model_name: str = "bsf"
    model_file_name: str = "models.bsf.bsf"
    model_cls_name: str = "BSF"
    model_length: int = 61
    model_length_dict: dict[str, int] = field(default_factory=lambda: {"v010": 61, "v023": 41})
    model_params: dict[str, Any] = field(default_factory=lambda: {"spike_dim": 61})
    model_params_dict: dict[str, dict[str, Any]] = field(
        default_factory=lambda: {"v010": {"spike_dim": 61}, "v023": {"spike_dim": 41}}
    )


class BSF(PaddedModel):
    """Intervals between spikes, aligned over five windows; sizes padded to multiples of 4.

    Zhao et al., "Boosting spike camera image reconstruction from a perspective of dealing with
    spike fluctuations", CVPR 2024.
    """

    size_multiple: ClassVar[int] = 4

    def preprocess_spike(self, spike: Tensor) -> Any:
        """Central frames, padded, as ``{"dsft_dict": interval maps, "spikes": frames}``."""
        spike = super().preprocess_spike(spike)
        return {"dsft_dict": dsft(spike), "spikes": spike}

    def _as_input(self, spike: Any) -> Any:
        # The network turns the integer maps into its own element type.
        return spike
