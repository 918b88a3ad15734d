"""Pictures one after the other, as a GIF, an animated PNG or an MP4.  Needs the extra ``media``."""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

__all__ = ["write_animation", "write_video"]

Pictures = Iterable[NDArray[np.uint8]]
"""At least one, uint8 ``[H, W]`` in grey or ``[H, W, 3]`` in colour, all of one size."""


def write_animation(
    target: Path | io.BytesIO, pictures: Pictures, form: Literal["GIF", "PNG"], fps: float
) -> None:
    """Write a picture that moves, over and over.

    Raises:
        ImportError: the extra ``media`` is missing.
    """
    try:
        from PIL import Image
    except ImportError as error:
        raise ImportError("pictures need Pillow: pip install 'sj-datasets[media]'") from error
    first, *others = map(Image.fromarray, pictures)
    # a GIF's clock counts 1/100 s, and viewers take 0 and 1 of them for "as slow as you like"
    duration = max(20.0, 1000 / fps) if form == "GIF" else 1000 / fps
    first.save(target, form, save_all=True, append_images=others, duration=duration, loop=0)


def write_video(path: Path, pictures: Pictures, fps: float) -> None:
    """Write an MP4; odd sizes get one more row or column, like their last.

    Raises:
        ImportError: the extra ``media`` is missing.
    """
    try:
        import av
        import av.codec
    except ImportError as error:
        raise ImportError("videos need PyAV: pip install 'sj-datasets[media]'") from error
    pictures = iter(pictures)
    first = next(pictures)
    # chroma is stored for blocks of 2 x 2 pixels
    even = [(0, n % 2) for n in first.shape[:2]] + [(0, 0)] * (first.ndim - 2)
    codec = "libx264" if "libx264" in av.codec.codecs_available else "mpeg4"
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream(codec, rate=Fraction(fps).limit_denominator(1000))
        stream.height, stream.width = (n + n % 2 for n in first.shape[:2])
        stream.pix_fmt = "yuv420p"
        for picture in itertools.chain([first], pictures):
            frame = av.VideoFrame.from_ndarray(
                np.pad(picture, even, "edge"), format="gray" if first.ndim == 2 else "rgb24"
            )
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
