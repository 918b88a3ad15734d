"""All key frames of a stream, in blocks that stay in the processor's cache.

A kernel gets spikes ``[n + 2h, P]`` and fills images ``[n, P]`` of the n key frames whose windows
of 2h + 1 frames lie inside; P pixels in any order.  Time is the slow axis, so that every operation
runs over pixels.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sj_datasets import SpikeStream

from ..streams import Spikes, as_tensor, check_axes

__all__ = [
    "Kernel",
    "Out",
    "check_values",
    "count_dtype",
    "key_count",
    "spike_frames",
    "sweep",
    "video_buffer",
]

Kernel = Callable[[NDArray[np.uint8], NDArray[np.generic]], None]
Out = Tensor | NDArray[np.generic]
_NO_SPIKES = "spikes must be 0 or 1, but the stream holds other values"


def spike_frames(stream: Spikes, *, checked: bool = True) -> NDArray[np.uint8]:
    """A stream as contiguous uint8 ``[T, H, W]`` of 0 and 1, copied only where it must be.

    Args:
        stream: spikes ``[T, H, W]``.
        checked: look at the values of a uint8 stream too; a kernel that does so while they are in
            the cache saves a fifth of its time.

    Raises:
        TypeError: no stream.
        ValueError: not three axes, no frames, or values other than 0 and 1.
    """
    check_axes(stream, "THW")
    if isinstance(stream, SpikeStream):
        return stream[:]
    given = as_tensor(stream).detach().cpu()
    if given.dtype == torch.bool:
        return given.contiguous().view(torch.uint8).numpy()
    frames = given.to(torch.uint8).contiguous()
    spikes = frames.numpy()
    if given.dtype != torch.uint8 and not bool((frames.to(given.dtype) == given).all()):
        raise ValueError(_NO_SPIKES)
    if checked or given.dtype != torch.uint8:
        check_values(spikes)
    return spikes


def check_values(spikes: NDArray[np.uint8]) -> None:
    """Refuse what is neither 0 nor 1.

    Raises:
        ValueError: such values.
    """
    if spikes.max() > 1:
        raise ValueError(_NO_SPIKES)


def video_buffer(out: Out | None, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    """``out`` as a tensor, or a new one.

    Raises:
        TypeError: ``out`` is no tensor or array.
        ValueError: ``out`` has another shape or element type, or is no plain CPU memory.
    """
    if out is None:
        # NumPy asks the system for huge pages, which cost a fraction of the page faults.
        return torch.from_numpy(np.empty(shape, torch.empty(0, dtype=dtype).numpy().dtype))
    buffer = out if isinstance(out, Tensor) else _shared(out)
    if tuple(buffer.shape) != shape or buffer.dtype != dtype:
        raise ValueError(
            f"out must be {str(dtype).removeprefix('torch.')} {list(shape)}, got "
            f"{str(buffer.dtype).removeprefix('torch.')} {list(buffer.shape)}"
        )
    if buffer.device.type != "cpu" or not buffer.is_contiguous():
        raise ValueError("out must be contiguous and on the CPU")
    return buffer


def _shared(out: NDArray[np.generic]) -> Tensor:
    if not isinstance(out, np.ndarray):
        raise TypeError(f"out must be a tensor or an array, got {type(out).__name__}")
    if not out.flags.writeable:
        raise ValueError("out is read-only")
    return torch.from_numpy(out)


def count_dtype(largest: int) -> torch.dtype:
    """Smallest of uint8 and int32 that holds a count."""
    return torch.uint8 if largest < 256 else torch.int32


def sweep(
    spikes: NDArray[np.uint8],
    images: Tensor,
    kernel: Kernel,
    *,
    pixels: int,
    keys: int | None = None,
) -> Tensor:
    """Run a kernel over blocks of pixels and key frames.

    Args:
        spikes: ``[T, H, W]``.
        images: ``[n, H, W]`` to fill.
        kernel: see above.
        pixels: pixels of a block.
        keys: key frames of a block; by default each block has all images and all spikes.
    """
    frames = spikes.reshape(len(spikes), -1)
    filled = images.detach().numpy().reshape(len(images), -1)
    keys = keys or len(filled)
    surplus = len(frames) - len(filled)
    for first_pixel in range(0, frames.shape[1], pixels):
        block = slice(first_pixel, first_pixel + pixels)
        for first in range(0, len(filled), keys):
            target = filled[first : first + keys, block]
            kernel(frames[first : first + len(target) + surplus, block], target)
    return images


def key_count(stream: Spikes, half: int, window: int) -> int:
    """Number of key frames whose windows lie in the stream.

    Raises:
        TypeError: no stream.
        ValueError: there is none.
    """
    check_axes(stream, "THW")
    n_frames = stream.shape[0]
    if n_frames <= 2 * half:
        raise ValueError(
            f"window {window} needs {2 * half + 1} frames, but the stream has {n_frames}; use a "
            "shorter window"
        )
    return n_frames - 2 * half
