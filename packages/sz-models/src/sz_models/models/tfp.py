"""Texture from playback behind the model interface."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ..config import BaseModelConfig
from .windowed import WindowedModel

__all__ = ["TFPConfig", "TFPModel"]


@dataclass
class TFPConfig(BaseModelConfig):
    """Configuration of :class:`TFPModel`; ``model_win_length`` is the window in frames."""

    model_name: str = "tfp"
    model_cls_name: str = "TFPModel"
    require_params: bool = False
    model_params: dict[str, Any] = field(default_factory=lambda: {"model_win_length": 41})


class TFPModel(WindowedModel):
    """Texture from playback; see :func:`sz_models.classical.tfp`."""
