"""Spike streams as videos to look at: spikes white, silence black.  Needs the extra ``media``."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..atomic import atomic_path
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
    write = _write_gif if out_format == "gif" else _write_mp4
    with atomic_path(filename) as temporary:
        write(temporary, first, images, fps)


def _images(spikes: ArrayLike | SpikeStream | Iterable[ArrayLike]) -> Iterator[NDArray[np.uint8]]:
    for block in spike_blocks(spikes):
        yield from as_bits(np.asarray(block)).view(np.uint8) * np.uint8(255)


def _write_gif(
    path: Path, first: NDArray[np.uint8], rest: Iterator[NDArray[np.uint8]], fps: float
) -> None:
    try:
        from PIL import Image
    except ImportError as error:
        raise ImportError("GIF files need Pillow: pip install 'sj-datasets[media]'") from error
    Image.fromarray(first).save(
        path, "GIF", save_all=True, append_images=map(Image.fromarray, rest),
        duration=round(1000 / fps), loop=0,
    )  # fmt: skip


def _write_mp4(
    path: Path, first: NDArray[np.uint8], rest: Iterator[NDArray[np.uint8]], fps: float
) -> None:
    try:
        import av
    except ImportError as error:
        raise ImportError("MP4 files need PyAV: pip install 'sj-datasets[media]'") from error
    even = [(0, n % 2) for n in first.shape]
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("mpeg4", rate=Fraction(fps).limit_denominator(1001))
        stream.height, stream.width = (n + n % 2 for n in first.shape)
        stream.pix_fmt = "yuv420p"
        stream.bit_rate = 8_000_000
        for image in itertools.chain([first], rest):
            frame = av.VideoFrame.from_ndarray(np.pad(image, even, "edge"), format="gray")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
