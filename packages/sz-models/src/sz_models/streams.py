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

__all__ = ["Spikes", "as_tensor", "check_axes", "check_binary", "load_vidar_dat"]

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
    array = np.asarray(frames)
    # Read-only and reversed arrays, and those of the other byte order, cannot be shared with torch.
    native = array.dtype.newbyteorder("=")
    return torch.from_numpy(np.require(array, native, requirements=["C", "W"]))


def check_axes(spikes: object, *layouts: str) -> None:
    """Refuse what is no stream.

    Args:
        spikes: what a user gave.
        layouts: axes it may have, such as ``"THW"`` and ``"BTHW"``; all but B need a size.

    Raises:
        TypeError: no tensor, array or ``SpikeStream``, or not of real numbers.
        ValueError: other axes, or nothing in it.
    """
    if not hasattr(spikes, "shape"):
        raise TypeError(
            "spikes must be a tensor, an array or a SpikeStream, got "
            f"{type(spikes).__name__} {str(spikes)[:60]!r}"
        )
    shape = tuple(spikes.shape)  # type: ignore[attr-defined]
    if len(shape) not in map(len, layouts):
        texts = [f"[{', '.join(layout)}]" for layout in layouts]
        hint = "; for one stream pass spikes[None]" if layouts == ("BTHW",) else ""
        raise ValueError(f"spikes must be {' or '.join(texts)}, got {list(shape)}{hint}")
    if 0 in shape[-3:]:
        raise ValueError(f"spikes are empty: {list(shape)}")
    dtype = getattr(spikes, "dtype", None)
    if dtype.is_complex if isinstance(dtype, torch.dtype) else np.dtype(dtype).kind not in "biuf":
        raise TypeError(f"spikes must be real numbers or booleans, got {dtype}")


def check_binary(frames: Tensor) -> None:
    """Refuse spikes other than 0 and 1.

    Raises:
        ValueError: there are some.
    """
    if frames.dtype in (torch.bool, torch.uint8):
        binary = frames.numel() == 0 or int(frames.max()) <= 1
    else:
        binary = bool(((frames == 0) | (frames == 1)).all())
    if not binary:
        raise ValueError("spikes must be 0 or 1, but the stream holds other values")
