"""Images, image folders and videos as grey frames ``[H, W]``, float32 in [0, 1].

Colour becomes luma 0.299 R + 0.587 G + 0.114 B.  Needs the extra ``media``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..atomic import atomic_path

__all__ = ["IMAGE_SUFFIXES", "iter_gray_frames", "read_gray_image", "write_gray_image"]

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".pgm", ".webp")


def read_gray_image(path: str | os.PathLike[str]) -> NDArray[np.float32]:
    """Read an image file as grey ``[H, W]`` in [0, 1]; 16-bit files keep their depth.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not a readable image.
        ImportError: Pillow is missing.
    """
    try:
        from PIL import Image, UnidentifiedImageError
    except ImportError as error:
        raise ImportError("images need Pillow: pip install 'sj-datasets[media]'") from error
    source = _existing(path)
    try:
        with Image.open(source) as image:
            if image.mode.startswith("I"):
                return np.asarray(image, np.float32) / np.float32(65535)
            return np.asarray(image.convert("L"), np.float32) / np.float32(255)
    except (UnidentifiedImageError, Image.DecompressionBombError, SyntaxError, OSError) as error:
        raise ValueError(f"{source} is not a readable image: {error}") from error


def write_gray_image(path: str | os.PathLike[str], image: ArrayLike) -> None:
    """Write a grey image ``[H, W]`` in [0, 1] with 8 bits; the suffix decides the format.

    Raises:
        ValueError: not 2-D, values outside [0, 1], or an unknown suffix.
        ImportError: Pillow is missing.
    """
    try:
        from PIL import Image
    except ImportError as error:
        raise ImportError("images need Pillow: pip install 'sj-datasets[media]'") from error
    gray = np.asarray(image, np.float64)
    if gray.ndim != 2:
        raise ValueError(f"the image must have shape [H, W], got {list(gray.shape)}")
    if not (gray.min() >= 0 and gray.max() <= 1):
        raise ValueError(f"the image must lie in [0, 1], got {gray.min()} to {gray.max()}")
    with atomic_path(path) as temporary:
        Image.fromarray(np.round(255 * gray).astype(np.uint8)).save(temporary)


def iter_gray_frames(path: str | os.PathLike[str]) -> Iterator[NDArray[np.float32]]:
    """Yield grey frames of an image, of a folder's images in natural order, or of a video.

    Raises:
        FileNotFoundError: no such file or folder.
        ValueError: nothing readable in it.
        ImportError: the extra ``media`` is missing.
    """
    source = _existing(path)
    if source.is_dir():
        images = [p for p in source.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES]
        if not images:
            raise ValueError(f"{source} holds no image ({' '.join(IMAGE_SUFFIXES)})")
        yield from map(read_gray_image, sorted(images, key=_natural_order))
    elif source.suffix.lower() in IMAGE_SUFFIXES:
        yield read_gray_image(source)
    else:
        yield from _video_frames(source)


def _video_frames(source: Path) -> Iterator[NDArray[np.float32]]:
    try:
        import av
        import av.error
        import PIL  # noqa: F401
    except ImportError as error:
        raise ImportError(
            "videos need PyAV and Pillow: pip install 'sj-datasets[media]'"
        ) from error
    try:
        with av.open(str(source)) as container:
            if not container.streams.video:
                raise ValueError(f"{source} has no video stream")
            for frame in container.decode(video=0):
                yield np.asarray(frame.to_image().convert("L"), np.float32) / np.float32(255)
    except av.error.FFmpegError as error:
        raise ValueError(f"{source} is not a readable video: {error}") from error


def _existing(path: str | os.PathLike[str]) -> Path:
    source = Path(path)
    if not source.exists():
        raise FileNotFoundError(f"{source}: no such file or folder")
    return source


def _natural_order(path: Path) -> list[tuple[int, int, str]]:
    parts = re.split(r"(\d+)", path.name)
    return [(0, int(p), "") if p.isdecimal() else (1, 0, p.lower()) for p in parts]
