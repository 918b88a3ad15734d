"""Texture from playback: the mean of a window.

Zhu et al., "A retina-inspired sampling method for visual texture reconstruction", ICME 2019.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..streams import Spikes
from .sweep import Out, check_values, count_dtype, key_count, spike_frames, sweep, video_buffer
from .window import as_image, frames_between, half_window, image_dtype, key_and_half

__all__ = ["count_spikes", "tfp", "tfp_video"]

# Measured at 250 x 400: fewer pixels pay for calls, more leave the cache.
_PIXELS = 100_000
_GROUP = 8


def tfp(stream: Tensor, key_frame: int | None = None, window: int = 41) -> Tensor:
    """Texture from playback: the mean of the ``2 * (window // 2) + 1`` frames around the key frame.

    Args:
        stream: spikes ``[T, H, W]`` or ``[B, T, H, W]``.
        key_frame: frame index, by default ``T // 2``.
        window: frames to average; an even number takes one more.

    Raises:
        ValueError: the window leaves the stream.

    Example:
        >>> import torch
        >>> tfp(torch.tensor([0, 1, 0, 1, 1]).view(5, 1, 1), window=5).item()
        0.6000000238418579
    """
    key, half = key_and_half(stream, key_frame, window, smallest=1)
    frames = frames_between(stream, key - half, key + half)
    counts = _sum_frames(frames)
    return as_image(stream, counts.to(image_dtype(stream)) / (2 * half + 1))


def tfp_video(
    stream: Spikes, window: int = 41, *, counts: bool = False, out: Out | None = None
) -> Tensor:
    """TFP at every key frame whose window lies in the stream, by a running sum.

    Args:
        stream: spikes ``[T, H, W]``.
        window: frames to average; an even number takes one more.
        counts: give the integer numbers of spikes instead of their means.
        out: where to write; shares its memory with the result.

    Returns:
        ``[T - 2 * (window // 2), H, W]``; image j belongs to key frame ``window // 2 + j``.
        float32, or with ``counts`` uint8 (int32 for windows beyond 255 frames).

    Raises:
        ValueError: the window does not fit the stream, wrong ``out``, or spikes other than 0 and 1,
            which may be found when a part of ``out`` has been written.

    Example:
        >>> import torch
        >>> spikes = torch.tensor([0, 1, 0, 1, 1]).view(5, 1, 1)
        >>> tfp_video(spikes, window=3, counts=True).flatten().tolist()
        [1, 2, 2]
    """
    half = half_window(window, smallest=1)
    shape = (key_count(stream, half, window), *stream.shape[1:])
    dtype = count_dtype(2 * half + 1)
    images = video_buffer(out, shape, dtype if counts else torch.float32)
    kernel = count_spikes if counts else _average
    return sweep(spike_frames(stream, checked=False), images, kernel, pixels=_PIXELS)


def count_spikes(frames: NDArray[np.uint8], counts: NDArray[np.generic]) -> None:
    """Kernel: spikes of each window, which it checks; see ``sweep``."""
    width = len(frames) - len(counts) + 1
    _first_count(frames[:width], counts[0])
    for first in range(1, len(counts), _GROUP):
        _advance(frames, width, first, counts[first - 1], counts[first : first + _GROUP])


def _average(frames: NDArray[np.uint8], means: NDArray[np.generic]) -> None:
    width = len(frames) - len(means) + 1
    dtype = np.uint8 if width < 256 else np.int32
    counts = np.empty((_GROUP, frames.shape[1]), dtype)
    last = np.empty_like(counts[0])
    _first_count(frames[:width], last)
    _divide(last[None], width, means[:1])
    for first in range(1, len(means), _GROUP):
        target = means[first : first + _GROUP]
        group = counts[: len(target)]
        _advance(frames, width, first, last, group)
        _divide(group, width, target)
        np.copyto(last, group[-1])


def _divide(counts: NDArray[np.generic], width: int, means: NDArray[np.generic]) -> None:
    # Row by row: a row is converted and, still in the cache, divided.
    for count, mean in zip(counts, means, strict=True):
        np.copyto(mean, count, casting="unsafe")
        np.divide(mean, np.float32(width), out=mean)


def _first_count(frames: NDArray[np.uint8], counts: NDArray[np.generic]) -> None:
    counts.fill(0)
    for frame in frames:
        check_values(frame)
        np.add(counts, frame, out=counts)


def _advance(
    frames: NDArray[np.uint8],
    width: int,
    first: int,
    previous: NDArray[np.generic],
    counts: NDArray[np.generic],
) -> None:
    """Counts of windows first, first + 1, ... from those of the window before.

    Each differs from its predecessor by one frame that enters and one that leaves; uint8 wraps
    around on the way, but never in the sum.
    """
    stop = first + len(counts)
    entering, leaving = frames[first + width - 1 : stop + width - 1], frames[first - 1 : stop - 1]
    np.subtract(entering, leaving, out=counts, dtype=counts.dtype)
    check_values(entering)
    for count in counts:
        np.add(count, previous, out=count)
        previous = count


def _sum_frames(frames: Tensor) -> Tensor:
    """Sum over time; integer and boolean frames are counted without widening them all."""
    if frames.is_floating_point():
        return frames.sum(dim=-3)
    if frames.dtype in (torch.bool, torch.uint8) and frames.shape[-3] < 256:
        counts = torch.zeros_like(frames.select(-3, 0), dtype=torch.uint8)
        for index in range(frames.shape[-3]):
            counts += frames.select(-3, index)
        return counts
    return frames.sum(dim=-3, dtype=torch.int32)
