"""Spike streams as tensors.  T frames, H rows, W columns."""

from __future__ import annotations

import os
from typing import Literal, overload

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

import sj_datasets
from sj_datasets import SpikeStream

__all__ = ["Spikes", "as_tensor", "load_vidar_dat"]

Spikes = SpikeStream | Tensor | NDArray[np.generic]


@overload
def load_vidar_dat(
    filename: str | os.PathLike[str],
    height: int,
    width: int,
    remove_head: bool = False,
    version: str = "python",
    out_format: Literal["array"] = "array",
    *,
    strict: bool = True,
) -> NDArray[np.float32]: ...
@overload
def load_vidar_dat(
    filename: str | os.PathLike[str],
    height: int,
    width: int,
    remove_head: bool = False,
    version: str = "python",
    *,
    out_format: Literal["tensor"],
    strict: bool = True,
) -> Tensor: ...
def load_vidar_dat(
    filename: str | os.PathLike[str],
    height: int,
    width: int,
    remove_head: bool = False,
    version: str = "python",
    out_format: str = "array",
    *,
    strict: bool = True,
) -> NDArray[np.float32] | Tensor:
    """Read a spike-camera recording as float32 ``[T, H, W]`` of 0 and 1, ready for a network.

    Arguments and errors as in ``sj_datasets.load_vidar_dat`` (whose uint8 result is four times
    smaller); ``out_format`` is ``"array"`` or ``"tensor"``.
    """
    if out_format not in ("array", "tensor"):
        raise ValueError(f"out_format must be 'array' or 'tensor', got {out_format!r}")
    spikes = sj_datasets.load_vidar_dat(
        filename, height, width, remove_head, version, dtype=np.uint8, strict=strict
    )
    if out_format == "tensor":
        return torch.from_numpy(spikes).to(torch.float32)
    return spikes.astype(np.float32)


def as_tensor(frames: Tensor | ArrayLike) -> Tensor:
    """Frames as a tensor that shares memory where that is safe."""
    if isinstance(frames, Tensor):
        return frames
    # Read-only and reversed arrays cannot be shared with torch.
    return torch.from_numpy(np.require(frames, requirements=["C", "W"]))
