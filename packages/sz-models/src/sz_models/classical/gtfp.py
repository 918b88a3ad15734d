"""Gaussian-weighted playback: near frames count more.

The weights are multiples of 2^-23 (2^-52 in float64) whose sum is about 1, so every partial sum of
weighted spikes is a number that the type holds: no order of summation rounds, and one image, a
matrix product over many and another device give the same bits.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .._numbers import check_positive
from ..streams import Spikes
from .sweep import Out, key_count, spike_frames, sweep, video_buffer
from .window import as_image, half_window, image_dtype, key_and_half

__all__ = ["gtfp", "gtfp_at", "gtfp_reach", "gtfp_video"]

# Beyond 9 sigma a weight is less than half a quantum of float64.
_SUPPORT_SIGMAS = 9.0
_PIXELS = 4096
_KEYS = 64
# Above this many frames a quantum of 2^-23 would be coarse beside a weight.
_MOST_SINGLE = 1024


def gtfp(
    stream: Tensor,
    key_frame: int | None = None,
    sigma: float = 5.0,
    rate: float = 1.0,
    window: int | None = None,
) -> Tensor:
    """Gaussian-weighted playback: near frames count more, weights normalised over the stream.

    Args:
        stream: spikes ``[T, H, W]`` or ``[B, T, H, W]``.
        key_frame: frame index, by default ``T // 2``.
        sigma: standard deviation of the weights in frames.
        rate: spikes per frame at full brightness, by which the image is divided before clipping.
        window: use and normalise over this many frames only; by default the whole stream.

    Raises:
        ValueError: key frame or window leaves the stream, sigma or rate is not positive.

    Example:
        >>> import torch
        >>> round(gtfp(torch.ones(9, 1, 1), sigma=1.0, rate=2.0).item(), 6)
        0.5
    """
    check_positive(sigma=sigma, rate=rate)
    key, half = key_and_half(stream, key_frame, 1 if window is None else window, smallest=1)
    before = after = half
    if window is None:
        before, after = _reach_at(key, stream.shape[-3], sigma)
    double = _is_double(stream.dtype, before + after + 1)
    weights = _weights(before, after, sigma, double)
    frames = stream.narrow(-3, key - before, len(weights))
    image = torch.zeros_like(frames.select(-3, 0), dtype=torch.float64 if double else torch.float32)
    for index, weight in enumerate(weights):
        if weight:
            image.add_(frames.select(-3, index), alpha=weight)
    return as_image(stream, image.to(image_dtype(stream)).div_(rate).clamp_(0, 1))


def gtfp_video(
    stream: Spikes,
    sigma: float = 5.0,
    rate: float = 1.0,
    window: int | None = None,
    *,
    out: Out | None = None,
) -> Tensor:
    """GTFP at every key frame, as products of a band of weights with blocks of the stream.

    Args:
        stream: spikes ``[T, H, W]``.
        sigma: standard deviation of the weights in frames.
        rate: spikes per frame at full brightness, by which images are divided before clipping.
        window: use and normalise over this many frames only; by default the whole stream.
        out: where to write; shares its memory with the result.

    Returns:
        float32 ``[T, H, W]``, image k for key frame k; with a window
        ``[T - 2 * (window // 2), H, W]``, image j for key frame ``window // 2 + j``.

    Raises:
        ValueError: the window does not fit the stream, spikes other than 0 and 1, wrong ``out``,
            sigma or rate is not positive.
    """
    check_positive(sigma=sigma, rate=rate)
    half = 0 if window is None else half_window(window, smallest=1)
    n_keys = key_count(stream, half, window or 1)
    return gtfp_at(stream, range(half, half + n_keys), sigma, rate, window, out=out)


def gtfp_at(
    stream: Spikes,
    keys: range,
    sigma: float = 5.0,
    rate: float = 1.0,
    window: int | None = None,
    *,
    out: Out | None = None,
) -> Tensor:
    """``gtfp_video`` at some key frames; the arguments have been checked."""
    half = None if window is None else window // 2
    images = video_buffer(out, (len(keys), *stream.shape[1:]), torch.float32)
    spikes = spike_frames(stream)
    bands = [
        _band(keys[first : first + _KEYS], len(spikes), sigma, half)
        for first in range(0, len(keys), _KEYS)
    ]

    def kernel(frames: NDArray[np.uint8], target: NDArray[np.generic]) -> None:
        filled = 0
        for start, band in bands:
            block = torch.from_numpy(frames[start : start + band.shape[1]]).to(band.dtype)
            image = torch.mm(band, block).to(torch.float32).div_(rate).clamp_(0, 1)
            np.copyto(target[filled : filled + len(band)], image.numpy())
            filled += len(band)

    return sweep(spikes, images, kernel, pixels=_PIXELS)


def gtfp_reach(sigma: float) -> int:
    """Frames on each side of the key frame beyond which weights are 0 in any type."""
    return math.ceil(_SUPPORT_SIGMAS * sigma)


def _reach_at(key: int, n_frames: int, sigma: float) -> tuple[int, int]:
    reach = gtfp_reach(sigma)
    return min(key, reach), min(n_frames - 1 - key, reach)


def _is_double(dtype: torch.dtype, n_weights: int) -> bool:
    return dtype == torch.float64 or n_weights > _MOST_SINGLE


@lru_cache(maxsize=512)
def _weights(before: int, after: int, sigma: float, double: bool) -> tuple[float, ...]:
    """Normalised weights of the frames from ``before`` frames earlier to ``after`` later."""
    weights = [math.exp(-0.5 * (k / sigma) ** 2) for k in range(-before, after + 1)]
    quanta = 2.0 ** (52 if double else 23)
    scale = quanta / math.fsum(weights)
    return tuple(round(weight * scale) / quanta for weight in weights)


def _band(keys: range, n_frames: int, sigma: float, half: int | None) -> tuple[int, Tensor]:
    """First frame, and the weights ``[len(keys), frames]`` of the frames from it on."""
    spans = [_reach_at(k, n_frames, sigma) if half is None else (half, half) for k in keys]
    rows = [
        (key - before, _weights(before, after, sigma, _is_double(torch.uint8, before + after + 1)))
        for key, (before, after) in zip(keys, spans, strict=True)
    ]
    double = any(len(weights) > _MOST_SINGLE for _, weights in rows)
    start = rows[0][0]
    stop = max(first + len(weights) for first, weights in rows)
    dtype = torch.float64 if double else torch.float32
    band = torch.zeros(len(keys), stop - start, dtype=dtype)
    for row, (first, weights) in zip(band, rows, strict=True):
        row[first - start : first - start + len(weights)] = torch.tensor(weights, dtype=dtype)
    used = band.any(dim=0).nonzero()
    first, last = int(used[0]), int(used[-1])
    return start + first, band[:, first : last + 1].contiguous()
