"""Spikes and true images from files and arrays, as batches on a device."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sj_datasets import SpikeStream
from sj_datasets.spike_camera import load_vidar_dat, read_gray_image, read_uhsr

from ..streams import Spikes, as_tensor, check_axes, check_binary

__all__ = ["as_batch", "as_truth", "read_recording", "read_truth"]


def read_recording(
    path: str | os.PathLike[str], height: int, width: int, remove_head: bool
) -> Spikes:
    """Stream ``[T, H, W]`` of a ``.dat`` file, or of a UHSR ``.npz`` cut to its picture.

    A ``.dat`` file without header columns is decoded only where it is read.

    Raises:
        ValueError: another suffix, or a ``.dat`` without height and width.
        FileNotFoundError: no such file.
    """
    source = Path(path)
    if source.suffix == ".npz":
        return read_uhsr(source).spikes
    if source.suffix != ".dat":
        raise ValueError(f"{source}: a recording is a .dat or a UHSR .npz file")
    if height < 1 or width < 1:
        raise ValueError(f"{source}: a .dat file has no header; give height and width")
    if remove_head:
        return load_vidar_dat(source, height, width, remove_head, dtype=np.uint8)
    return SpikeStream(source, height, width)


def read_truth(path: str | os.PathLike[str]) -> Tensor:
    """Grey image ``[1, 1, H, W]`` in [0, 1] of an image file."""
    return torch.from_numpy(read_gray_image(path))[None, None]


def as_batch(spike: Spikes, length: int, device: torch.device) -> Tensor:
    """Float32 ``[B, T, H, W]`` of a stream ``[T, H, W]`` or ``[B, T, H, W]``, checked to be 0 or 1.

    Of a longer stream only the ``length`` frames around T // 2 are taken.

    Raises:
        TypeError: no stream.
        ValueError: another number of dimensions, nothing in it, or other values.
    """
    check_axes(spike, "THW", "BTHW")
    n_frames = spike.shape[-3]
    start = n_frames // 2 - length // 2
    frames = slice(start, start + length) if n_frames > length else slice(None)
    cut = as_tensor(spike[frames] if spike.ndim == 3 else spike[:, frames])
    if cut.numel() == 0:
        raise ValueError(f"spikes are empty: {list(spike.shape)}")
    check_binary(cut)
    cut = cut.to(device, torch.float32)
    return cut[None] if cut.ndim == 3 else cut


def as_truth(image: Tensor | NDArray[np.generic], spike: Tensor) -> Tensor:
    """True image ``[B, 1, H, W]`` in [0, 1] for a batch of spikes.

    Args:
        image: ``[H, W]``, ``[1, H, W]`` or ``[B, 1, H, W]``; integers mean 0..255, floating-point
            numbers [0, 1].
        spike: ``[B, T, H, W]``.

    Raises:
        ValueError: sizes differ or values are out of range.
    """
    truth = as_tensor(image)
    scale = 1.0 if truth.is_floating_point() else 255.0
    truth = truth.to(spike.device, torch.float32) / scale
    shape = list(truth.shape)
    if truth.ndim in (2, 3):
        truth = truth.reshape((1,) * (4 - truth.ndim) + tuple(shape))
    expected = (len(spike), 1, *spike.shape[-2:])
    if truth.shape != expected:
        raise ValueError(f"the true image must have shape {list(expected)}, got {shape}")
    if not (float(truth.min()) >= 0 and float(truth.max()) <= 1):
        raise ValueError("the true image must be integers 0..255 or real numbers in [0, 1]")
    return truth
