"""Grey pictures to an MP4 or a GIF, one at a time.

A GIF is written picture by picture, as its format allows: a header with the 256 greys, then each
picture behind its duration.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import GifImagePlugin, Image

from sj_datasets.films import write_video

__all__ = ["FILMS", "check_film", "write_film"]

FILMS = (".mp4", ".gif")
"""Suffixes of videos."""

_LONGEST_SIDE = 65535
_SHORTEST = 20  # milliseconds; players take less for "as slow as you like"


def check_film(path: Path, fps: float) -> None:
    """Refuse what :func:`write_film` cannot write.

    Raises:
        ValueError: another suffix or a rate that is no rate.
        ImportError: an MP4 without the extra ``video``.
    """
    if path.suffix.lower() not in FILMS:
        raise ValueError(f"{path}: a video is an .mp4 or a .gif file")
    if not 0.1 <= fps <= 1000:
        raise ValueError(f"--fps must lie in 0.1 ... 1000, got {fps:g}")
    if path.suffix.lower() == ".mp4":
        try:
            import av  # noqa: F401
        except ImportError as error:
            raise ImportError("MP4 needs PyAV: pip install 'sz-models[video]'") from error


def write_film(path: Path, pictures: Iterable[NDArray[np.uint8]], fps: float) -> None:
    """Write pictures uint8 ``[H, W]``, at least one, of one size, as ``.mp4`` or ``.gif``.

    A GIF shows at most 50 pictures a second.
    """
    if path.suffix.lower() == ".mp4":
        write_video(path, pictures, fps)
        return
    with open(path, "wb") as file:
        _write_gif(file, iter(pictures), max(_SHORTEST, round(1000 / fps)))


def _write_gif(file: BinaryIO, pictures: Iterator[NDArray[np.uint8]], duration: int) -> None:
    first = next(pictures)
    height, width = first.shape
    if max(height, width) > _LONGEST_SIDE:
        raise ValueError(f"a GIF has at most {_LONGEST_SIDE} rows and columns")
    greys = np.repeat(np.arange(256, dtype=np.uint8), 3).tobytes()
    # a palette of 2^(7+1) colours of 8 bits, background 0, square pixels
    file.write(b"GIF89a" + struct.pack("<HHBBB", width, height, 0xF7, 0, 0) + greys)
    file.write(b"\x21\xff\x0bNETSCAPE2.0\x03\x01\x00\x00\x00")  # over and over
    while first is not None:
        for part in GifImagePlugin.getdata(Image.fromarray(first), duration=duration):
            file.write(part)
        first = next(pictures, None)
    file.write(b";")
