"""Mean inter-spike interval behind the model interface."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ..config import BaseModelConfig
from .windowed import WindowedModel

__all__ = ["ISIConfig", "ISIModel"]


@dataclass
class ISIConfig(BaseModelConfig):
    """Configuration of :class:`ISIModel`; ``model_win_length`` is the window in frames."""

    model_name: str = "isi"
    model_cls_name: str = "ISIModel"
    require_params: bool = False
    model_params: dict[str, Any] = field(default_factory=lambda: {"model_win_length": 41})


class ISIModel(WindowedModel):
    """Inverse of the mean inter-spike interval; see :func:`sz_models.classical.isi`."""
