"""WGSE behind the model interface."""

from __future__ import annotations

from dataclasses import dataclass

from ..config import BaseModelConfig
from .base import BaseModel

__all__ = ["WGSE", "WGSEConfig"]


@dataclass
class WGSEConfig(BaseModelConfig):
    """Configuration of :class:`WGSE`."""

    model_name: str = "wgse"
    model_file_name: str = "dwtnets"
    model_cls_name: str = "Dwt1dResnetX_TCN"


class WGSE(BaseModel):
    """Wavelet-guided reconstruction from 41 frames, images of any size.

    Zhang et al., "Learning temporal-ordered representation for spike streams based on discrete
    wavelet transforms", AAAI 2023.
    """
