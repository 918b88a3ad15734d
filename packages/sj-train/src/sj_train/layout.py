"""Time axis and memory layout of a batch on its way into the model."""

from __future__ import annotations

import torch
from torch import Tensor

from .errors import DataError

__all__ = ["add_time", "channels_last"]


def add_time(x: Tensor, steps: int) -> Tensor:
    """``[N, *]`` repeated to ``[T, N, *]``; frames ``[N, T, C, H, W]`` transposed to time first.

    Raises:
        DataError: the frames have another number of time steps.
    """
    if x.ndim != 5:
        return x.expand(steps, *x.shape)
    if x.shape[1] != steps:
        raise DataError(
            f"the data have {x.shape[1]} frames per sample, --T asks for {steps}; make them equal"
        )
    return x.transpose(0, 1)


def channels_last(x: Tensor) -> Tensor:
    """Images ``[N, C, H, W]`` or ``[T, N, C, H, W]`` with the channels innermost in memory."""
    if x.ndim == 4:
        return x.contiguous(memory_format=torch.channels_last)
    if x.ndim == 5:
        flat = x.flatten(0, 1).contiguous(memory_format=torch.channels_last)
        return flat.unflatten(0, x.shape[:2])
    return x
