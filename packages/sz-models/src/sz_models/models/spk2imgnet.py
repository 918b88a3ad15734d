"""Spk2ImgNet behind the model interface."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from ..config import BaseModelConfig
from .padded import PaddedModel

__all__ = ["Spk2ImgNet", "Spk2ImgNetConfig"]

_TRAINING_RATE = 0.6


@dataclass
class Spk2ImgNetConfig(BaseModelConfig):
    """Configuration of :class:`Spk2ImgNet`.

    Args:
        light_correction: divide images by 0.6, the spikes per unit of light of the data the
            released weights were trained on, and clip them to [0, 1].
    """

    model_name: str = "spk2imgnet"
    model_cls_name: str = "SpikeNet"
    light_correction: bool = False


class Spk2ImgNet(PaddedModel):
    """Features of five windows aligned to the middle one.

    Zhao et al., "Spk2ImgNet: learning to reconstruct dynamic scene from continuous spike stream",
    CVPR 2021.
    """

    size_multiple: ClassVar[int] = 4
    cfg: Spk2ImgNetConfig

    def __init__(self, cfg: Spk2ImgNetConfig) -> None:
        super().__init__(cfg)

    def postprocess_img(self, image: Tensor) -> Tensor:
        image = super().postprocess_img(image)
        if self.cfg.light_correction:
            image = (image / _TRAINING_RATE).clamp(0, 1)
        return image
