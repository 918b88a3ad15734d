"""SpikeCLIP's light reconstruction network behind the model interface."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor

from ..config import BaseModelConfig
from ..mirror import mirror_pad
from .base import BaseModel

__all__ = ["SpikeCLIP", "SpikeCLIPConfig"]

_FRAMES_PER_COUNT = 4
_BORDER = 20


@dataclass
class SpikeCLIPConfig(BaseModelConfig):
    """Configuration of :class:`SpikeCLIP`; ``model_length`` is 4 times the ``inDim`` of the net."""

    model_name: str = "spikeclip"
    model_cls_name: str = "LRN"
    model_length: int = 200
    model_length_dict: dict[str, int] = field(default_factory=lambda: {"v010": 200, "v023": 200})


class SpikeCLIP(BaseModel):
    """Counts of spikes in groups of 4 frames -> image, with a mirrored border of 20 pixels.

    The network was trained without true images, so its brightness has no fixed scale:
    ``reconstruct``, the pipelines and the command line stretch its images to [0, 1] and do not use
    the rate.

    Chen et al., "Rethinking high-speed image reconstruction framework with spike camera",
    AAAI 2025.
    """

    free_brightness: ClassVar[bool] = True

    def preprocess_spike(self, spike: Tensor) -> Tensor:
        """Spikes ``[B, 4 n, H, W]`` -> counts 0..4 ``[B, n, H + 40, W + 40]``.

        Raises:
            ValueError: a ``model_length`` that is no multiple of 4.
        """
        if self.model_length % _FRAMES_PER_COUNT:
            raise ValueError(
                f"model_length of {self.cfg.model_name} must be a multiple of {_FRAMES_PER_COUNT} "
                f"frames, got {self.model_length}"
            )
        spike = self.crop_spike_length(spike)
        groups = spike.unflatten(1, (-1, _FRAMES_PER_COUNT))
        counts = groups.sum(2, dtype=spike.dtype if spike.is_floating_point() else torch.uint8)
        return mirror_pad(counts, _BORDER, _BORDER, _BORDER, _BORDER)

    def postprocess_img(self, image: Tensor) -> Tensor:
        """Cut the border off."""
        return image[..., _BORDER:-_BORDER, _BORDER:-_BORDER]
