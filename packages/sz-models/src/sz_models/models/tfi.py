"""Texture from interval behind the model interface."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ..config import BaseModelConfig
from .windowed import WindowedModel

__all__ = ["TFIConfig", "TFIModel"]


@dataclass
class TFIConfig(BaseModelConfig):
    """Configuration of :class:`TFIModel`; ``model_win_length`` is the window in frames."""

    model_name: str = "tfi"
    model_cls_name: str = "TFIModel"
    require_params: bool = False
    model_params: dict[str, Any] = field(default_factory=lambda: {"model_win_length": 41})


class TFIModel(WindowedModel):
    """Texture from interval; see :func:`sz_models.classical.tfi`."""
