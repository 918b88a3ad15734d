"""Mean inter-spike interval of a window.

Where a pixel fires n times in a window, first at f and last at g, its mean interval is
(g - f) / (n - 1), and its brightness the inverse of that.  Unlike a count it does not depend on
where the window cuts the first and the last interval.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..streams import Spikes
from .nearest import Nearest, block_keys
from .sweep import Out, key_count, spike_frames, sweep, video_buffer
from .tfp import count_spikes
from .window import as_image, frames_between, half_window, image_dtype, key_and_half

__all__ = ["isi", "isi_video"]


def isi(stream: Tensor, key_frame: int | None = None, window: int = 41) -> Tensor:
    """Inverse of the mean inter-spike interval in the window around the key frame.

    With h = ``window // 2``, fewer than two spikes give 1 / (2h).

    Args:
        stream: spikes ``[T, H, W]`` or ``[B, T, H, W]``.
        key_frame: frame index, by default ``T // 2``.
        window: frames to look at, at least 2; an even number takes one more.

    Raises:
        ValueError: the window leaves the stream or is shorter than 2.

    Example:
        >>> import torch
        >>> isi(torch.tensor([0, 1, 0, 1, 0, 1, 0]).view(7, 1, 1), window=7).item()
        0.5
    """
    key, half = key_and_half(stream, key_frame, window, smallest=2)
    fired = frames_between(stream, key - half, key + half) == 1
    positions = torch.arange(1, 2 * half + 2, device=stream.device, dtype=torch.int32)
    positions = positions.view(-1, 1, 1)
    last = (fired * positions).amax(dim=-3)
    first = (fired * positions.flip(0)).amax(dim=-3)  # counted from the end of the window
    count = fired.sum(dim=-3, dtype=torch.int32)
    few = count < 2
    span = (last + first - (2 * half + 2)).masked_fill(few, 2 * half)
    dtype = image_dtype(stream)
    return as_image(stream, (count - 1).masked_fill(few, 1).to(dtype) / span.to(dtype))


def isi_video(stream: Spikes, window: int = 41, *, out: Out | None = None) -> Tensor:
    """Inverse mean inter-spike interval at every key frame whose window lies in the stream.

    Args:
        stream: spikes ``[T, H, W]``.
        window: frames to look at, at least 2; an even number takes one more.
        out: where to write; shares its memory with the result.

    Returns:
        float32 ``[T - 2 * (window // 2), H, W]``; image j belongs to key frame ``window // 2 + j``.

    Raises:
        ValueError: the window does not fit the stream, spikes other than 0 and 1, wrong ``out``.

    Example:
        >>> import torch
        >>> isi_video(torch.tensor([0, 1, 0, 1, 0]).view(5, 1, 1), window=5).flatten().tolist()
        [0.5]
    """
    half = half_window(window, smallest=2)
    shape = (key_count(stream, half, window), *stream.shape[1:])
    images = video_buffer(out, shape, torch.float32)
    nearest = Nearest(half)

    def kernel(frames: NDArray[np.uint8], target: NDArray[np.generic]) -> None:
        counts = np.empty(target.shape, np.uint8 if 2 * half + 1 < 256 else np.int32)
        count_spikes(frames, counts)
        few = counts < 2
        span = _spans(nearest, frames, half, few)
        np.maximum(counts, np.full(frames.shape[1], 2, counts.dtype), out=counts)
        counts -= counts.dtype.type(1)
        np.divide(counts, span, out=target, dtype=np.float32, casting="unsafe")

    keys, pixels = block_keys(half)
    return sweep(spike_frames(stream), images, kernel, pixels=pixels, keys=keys)


def _spans(
    nearest: Nearest, frames: NDArray[np.uint8], half: int, few: NDArray[np.bool_]
) -> NDArray[np.unsignedinteger]:
    """Frames from the first to the last spike of each window; 2h where ``few``."""
    n_keys = len(frames) - 2 * half
    last = nearest.last(frames, 0, len(frames))[2 * half :]
    first = nearest.next(frames, 0)[:n_keys]
    spans = nearest.array(2, last.shape)
    np.add(last, first, out=spans)
    np.subtract(spans, nearest.dtype.type(len(frames) + 1), out=spans)
    return nearest.select(spans, few, 2 * half, last)
