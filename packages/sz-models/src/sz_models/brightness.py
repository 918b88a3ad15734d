"""From a model's output to an image in [0, 1]: the one rule that every way to an image follows."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["finish_image", "stretch"]


def finish_image(recon: Tensor, rate: Tensor | float, *, free_brightness: bool) -> Tensor:
    """Images ``[..., H, W]`` ready to be shown, measured and saved.

    Args:
        recon: output of a model.
        rate: spikes per frame at full brightness, a number or ``[B]`` for ``[B, 1, H, W]``.
        free_brightness: the brightness has no scale: stretch instead of dividing by ``rate``.
    """
    recon = recon.float()
    if free_brightness:
        return stretch(recon)
    if isinstance(rate, Tensor):
        rate = rate.to(recon).reshape(-1, 1, 1, 1)
    return (recon / rate).clamp_(0, 1)


def stretch(images: Tensor) -> Tensor:
    """Each image of ``[..., H, W]`` by itself to darkest 0 and brightest 1; flat ones to 0."""
    low, high = images.amin((-2, -1), keepdim=True), images.amax((-2, -1), keepdim=True)
    span = torch.where(high > low, high - low, torch.ones_like(high))
    return (images - low) / span
