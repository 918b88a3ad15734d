"""Texture from interval: the inverse of the inter-spike interval.

Zhu et al., "A retina-inspired sampling method for visual texture reconstruction", ICME 2019.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..streams import Spikes
from .nearest import Nearest, block_keys
from .sweep import Out, count_dtype, key_count, spike_frames, sweep, video_buffer
from .window import as_image, frames_between, half_window, image_dtype, key_and_half

__all__ = ["tfi", "tfi_video"]


def tfi(stream: Tensor, key_frame: int | None = None, window: int = 41) -> Tensor:
    """Texture from interval: the inverse of the inter-spike interval that holds the key frame.

    Args:
        stream: spikes ``[T, H, W]`` or ``[B, T, H, W]``.
        key_frame: frame index, by default ``T // 2``.
        window: frames searched, half of them on each side; at least 2.

    Raises:
        ValueError: the window leaves the stream or is shorter than 2.

    Example:
        >>> import torch
        >>> tfi(torch.tensor([0, 1, 0, 0, 0, 1, 0]).view(7, 1, 1), window=6).item()
        0.25
    """
    key, half = key_and_half(stream, key_frame, window, smallest=2)
    before = frames_between(stream, key - half + 1, key) == 1
    after = frames_between(stream, key + 1, key + half) == 1
    # A ramp that grows towards the key frame turns "nearest spike" into a maximum; 0 = none.
    dtype = torch.uint8 if half < 256 else torch.int32
    ramp = torch.arange(1, half + 1, device=stream.device).to(dtype).view(-1, 1, 1)
    near_before = (before * ramp).amax(dim=-3).to(torch.int32)
    near_after = (after * ramp.flip(0)).amax(dim=-3).to(torch.int32)
    interval = 2 * half + 1 - near_before - near_after
    missing = (near_before == 0) | (near_after == 0)
    interval = interval.masked_fill(missing, 2 * half)
    return as_image(stream, interval.to(image_dtype(stream)).reciprocal())


def tfi_video(
    stream: Spikes, window: int = 41, *, intervals: bool = False, out: Out | None = None
) -> Tensor:
    """TFI at every key frame whose window lies in the stream, by one scan in each direction.

    Args:
        stream: spikes ``[T, H, W]``.
        window: frames searched, half of them on each side; at least 2.
        intervals: give the integer intervals in frames instead of their inverses.
        out: where to write; shares its memory with the result.

    Returns:
        ``[T - 2 * (window // 2), H, W]``; image j belongs to key frame ``window // 2 + j``.
        float32, or with ``intervals`` uint8 (int32 for windows beyond 255 frames).

    Raises:
        ValueError: the window does not fit the stream, spikes other than 0 and 1, wrong ``out``.

    Example:
        >>> import torch
        >>> spikes = torch.tensor([0, 1, 0, 0, 0, 1, 0]).view(7, 1, 1)
        >>> tfi_video(spikes, window=6, intervals=True).flatten().tolist()
        [4]
    """
    half = half_window(window, smallest=2)
    shape = (key_count(stream, half, window), *stream.shape[1:])
    images = video_buffer(out, shape, count_dtype(2 * half) if intervals else torch.float32)
    nearest = Nearest(half)

    def kernel(frames: NDArray[np.uint8], target: NDArray[np.generic]) -> None:
        gaps = _intervals(nearest, frames, half)
        if intervals:
            np.copyto(target, gaps, casting="unsafe")
        else:
            # Row by row: a row is converted and, still in the cache, inverted.
            for gap, inverse in zip(gaps, target, strict=True):
                np.copyto(inverse, gap, casting="unsafe")
                np.divide(np.float32(1), inverse, out=inverse)

    keys, pixels = block_keys(half)
    return sweep(spike_frames(stream), images, kernel, pixels=pixels, keys=keys)


def _intervals(
    nearest: Nearest, frames: NDArray[np.uint8], half: int
) -> NDArray[np.unsignedinteger]:
    """Intervals ``[n, P]`` around key frames half, half + 1, ... of a block."""
    n_frames = len(frames)
    n_keys = n_frames - 2 * half
    before = nearest.last(frames, 1, half + n_keys)[half - 1 :]
    after = nearest.next(frames, half + 1)[:n_keys]
    key = np.arange(half, half + n_keys)[:, None]
    # Not in [key - half + 1, key], or not in [key + 1, key + half].
    missing = before < (key - half + 2).astype(nearest.dtype)
    missing |= after < (n_frames - key - half).astype(nearest.dtype)
    gaps = nearest.array(2, before.shape)
    np.add(before, after, out=gaps)
    np.subtract(nearest.dtype.type(n_frames + 1), gaps, out=gaps)
    return nearest.select(gaps, missing, 2 * half, before)
