"""Spike streams as videos to look at: spikes white, silence black.  Needs the extra ``media``."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..atomic import atomic_path
from ..films import write_animation, write_video
from .dat import spike_blocks
from .packing import as_bits
from .stream import SpikeStream

__all__ = ["visual_vidar_dat"]


def visual_vidar_dat(
    filename: str | os.PathLike[str],
    spike: ArrayLike | SpikeStream | Iterable[ArrayLike],
    out_format: str = "gif",
    fps: float = 15,
) -> None:
    """Write spikes ``[T, H, W]`` of 0 and 1 as a video, one frame per sensor frame.

    Args:
        filename: the video to write.
        spike: an array, a :class:`SpikeStream` or an iterator over blocks ``[n, H, W]``.
        out_format: ``"gif"`` (endless loop) or ``"mp4"`` (odd sizes get one more row or column).
        fps: frames per second.

    Raises:
        ValueError: unknown format, wrong shape, a value other than 0 and 1, no frames.
        ImportError: the extra ``media`` is missing.
    """
    if out_format not in ("gif", "mp4"):
        raise ValueError(f"out_format must be 'gif' or 'mp4', got {out_format!r}")
    if not 0 < fps < float("inf"):
        raise ValueError(f"fps must be positive, got {fps}")
    images = _images(spike)
    first = next(images, None)
    if first is None:
        raise ValueError(f"{filename}: no frames to write")
    images = itertools.chain([first], images)
    with atomic_path(filename) as temporary:
        if out_format == "gif":
            write_animation(temporary, images, "GIF", fps)
        else:
            write_video(temporary, images, fps)


def _images(spikes: ArrayLike | SpikeStream | Iterable[ArrayLike]) -> Iterator[NDArray[np.uint8]]:
    for block in spike_blocks(spikes):
        yield from as_bits(np.asarray(block)).view(np.uint8) * np.uint8(255)
