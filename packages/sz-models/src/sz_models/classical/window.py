"""The window around one key frame of ``[T, H, W]`` or ``[B, T, H, W]``."""

from __future__ import annotations

import torch
from torch import Tensor

from .._numbers import whole
from ..streams import check_axes

__all__ = ["as_image", "frames_between", "half_window", "image_dtype", "key_and_half"]


def half_window(window: int, *, smallest: int) -> int:
    """Frames on each side of the key frame.

    Raises:
        TypeError: no whole number.
        ValueError: the window is shorter than the method needs.
    """
    window = whole("window", window)
    if window < smallest:
        raise ValueError(f"window must be at least {smallest}, got {window}")
    return window // 2


def key_and_half(
    stream: Tensor, key_frame: int | None, window: int, *, smallest: int
) -> tuple[int, int]:
    """Key frame (by default T // 2) and half window.

    Raises:
        TypeError: no tensor, or no whole numbers.
        ValueError: wrong axes, window too short, frames outside the stream.
    """
    check_axes(stream, "THW", "BTHW")
    if not isinstance(stream, Tensor):
        raise TypeError(f"spikes must be a tensor here, got {type(stream).__name__}; convert them")
    n_frames = stream.shape[-3]
    half = half_window(window, smallest=smallest)
    key = n_frames // 2 if key_frame is None else whole("key_frame", key_frame)
    if not 0 <= key < n_frames:
        raise ValueError(f"key frame {key} leaves the stream of {n_frames} frames")
    if key - half < 0 or key + half >= n_frames:
        raise ValueError(
            f"window {window} around key frame {key} needs frames {key - half}..{key + half}, but "
            f"the stream has frames 0..{n_frames - 1}; use a shorter window or another key frame"
        )
    return key, half


def frames_between(stream: Tensor, first: int, last: int) -> Tensor:
    """Frames first..last, as a view."""
    return stream.narrow(-3, first, last - first + 1)


def image_dtype(stream: Tensor) -> torch.dtype:
    """Element type of images: the stream's where that is floating, else float32."""
    return stream.dtype if stream.is_floating_point() else torch.float32


def as_image(stream: Tensor, image: Tensor) -> Tensor:
    """``[H, W]``, or ``[B, 1, H, W]`` for a batch of streams."""
    return image.unsqueeze(1) if stream.ndim == 4 else image
