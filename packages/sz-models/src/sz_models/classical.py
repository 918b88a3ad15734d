"""Reconstructions without learned parameters.

With key frame k, window w and h = w // 2:

    TFP   I = (S[k-h] + ... + S[k+h]) / (2h + 1)
    TFI   I = 1 / (r - l),  l = last spike in [k-h+1, k],  r = first spike in [k+1, k+h];
          1 / (2h) where either is missing
    GTFP  I = clip(sum_k' w[k'] S[k'] / rate, 0, 1),  w[k'] ~ exp(-((k' - k) / sigma)^2 / 2)

Frames k-h ... k+h must lie in the stream.  Streams are ``[T, H, W]`` or ``[B, T, H, W]``, spikes 0
or 1 in any element type; images are ``[H, W]`` or ``[B, 1, H, W]``, in the stream's element type
where that is floating, else float32.

TFP and TFI: Zhu et al., "A retina-inspired sampling method for visual texture reconstruction",
ICME 2019.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = ["gtfp", "tfi", "tfp"]

# Beyond 9 sigma a Gaussian weight is below half a float64 ulp of the sum: leaving it out changes
# nothing, and long streams cost no more than short ones.
_SUPPORT_SIGMAS = 9.0


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
    key, half = _key_and_half(stream, key_frame, window, smallest=1)
    frames = _frames(stream, key - half, key + half)
    counts = _sum_frames(frames)
    return _image(stream, counts.to(_image_dtype(stream)) / (2 * half + 1))


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
    key, half = _key_and_half(stream, key_frame, window, smallest=2)
    before = _frames(stream, key - half + 1, key) == 1
    after = _frames(stream, key + 1, key + half) == 1
    # A ramp that grows towards the key frame turns "nearest spike" into a maximum; 0 = none.
    dtype = torch.uint8 if half < 256 else torch.int32
    ramp = torch.arange(1, half + 1, device=stream.device).to(dtype).view(-1, 1, 1)
    near_before = (before * ramp).amax(dim=-3).to(torch.int32)
    near_after = (after * ramp.flip(0)).amax(dim=-3).to(torch.int32)
    interval = 2 * half + 1 - near_before - near_after
    missing = (near_before == 0) | (near_after == 0)
    interval = interval.masked_fill(missing, 2 * half)
    return _image(stream, interval.to(_image_dtype(stream)).reciprocal())


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
    for name, value in (("sigma", sigma), ("rate", rate)):
        if not value > 0 or not math.isfinite(value):
            raise ValueError(f"{name} must be a positive number, got {value}")
    if window is None:
        key, _ = _key_and_half(stream, key_frame, 1, smallest=1)
        half = math.ceil(_SUPPORT_SIGMAS * sigma)
        first, last = max(0, key - half), min(stream.shape[-3] - 1, key + half)
    else:
        key, half = _key_and_half(stream, key_frame, window, smallest=1)
        first, last = key - half, key + half
    frames = _frames(stream, first, last)
    weights = [math.exp(-0.5 * ((k - key) / sigma) ** 2) for k in range(first, last + 1)]
    total = math.fsum(weights)
    image = torch.zeros_like(frames.select(-3, 0), dtype=_image_dtype(stream))
    for index, weight in enumerate(weights):
        image.add_(frames.select(-3, index), alpha=weight / (total * rate))
    return _image(stream, image.clamp_(0, 1))


def _key_and_half(
    stream: Tensor, key_frame: int | None, window: int, *, smallest: int
) -> tuple[int, int]:
    if stream.ndim not in (3, 4):
        raise ValueError(f"stream must be [T, H, W] or [B, T, H, W], got {list(stream.shape)}")
    n_frames = stream.shape[-3]
    if window < smallest:
        raise ValueError(f"window must be at least {smallest}, got {window}")
    key = n_frames // 2 if key_frame is None else key_frame
    half = window // 2
    if not 0 <= key < n_frames:
        raise ValueError(f"key frame {key} leaves the stream of {n_frames} frames")
    if key - half < 0 or key + half >= n_frames:
        raise ValueError(
            f"window {window} around key frame {key} needs frames {key - half}..{key + half}, but "
            f"the stream has frames 0..{n_frames - 1}; use a shorter window or another key frame"
        )
    return key, half


def _frames(stream: Tensor, first: int, last: int) -> Tensor:
    """Frames first..last, as a view."""
    return stream.narrow(-3, first, last - first + 1)


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


def _image_dtype(stream: Tensor) -> torch.dtype:
    return stream.dtype if stream.is_floating_point() else torch.float32


def _image(stream: Tensor, image: Tensor) -> Tensor:
    return image.unsqueeze(1) if stream.ndim == 4 else image
