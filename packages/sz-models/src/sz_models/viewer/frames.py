"""What the page shows, as bytes: pictures of key frames, videos of ranges, spikes of a pixel."""

from __future__ import annotations

import importlib.util
import io
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sj_datasets import SpikeStream

from ..classical.window import half_window
from ..images import to_uint8
from ..reconstruct_video import reconstruct_video

__all__ = ["MAX_VIDEO_FRAMES", "VIEWS", "Frames", "View"]

VIEWS: dict[str, int | None] = {"spikes": None, "tfp": 1, "tfi": 2, "isi": 2, "gtfp": None}
"""What can be shown, and the shortest window of those that have one."""

MAX_VIDEO_FRAMES = 1000
MAX_SIGMA = 40.0
_MAX_WINDOW = 401
_DECODED_PIXELS = 1 << 27  # of one window
_CACHE_BYTES = 64 << 20
_DEFAULT_WINDOW = 41
_DEFAULT_SIGMA = 5.0


class View(NamedTuple):
    """How a key frame is shown; what a method does not use is ignored."""

    method: str = "tfp"
    window: int = _DEFAULT_WINDOW
    sigma: float = _DEFAULT_SIGMA
    rate: float = 1.0
    """Spikes per frame at full brightness."""


class Frames:
    """Pictures of one recording; safe to use from several threads.

    Args:
        stream: the recording.
        name: what the page calls it.
    """

    def __init__(self, stream: SpikeStream, name: str) -> None:
        self._stream = stream
        self._name = name
        self._cache: OrderedDict[tuple[View, int], bytes] = OrderedDict()
        self._cached_bytes = 0
        self._lock = threading.Lock()
        self._one_video = threading.Lock()

    def info(self) -> dict[str, Any]:
        """Sizes, methods and limits, ready for JSON."""
        n_frames, height, width = self._stream.shape
        longest = self._longest_window()
        view = View(window=min(_DEFAULT_WINDOW, longest))
        return {
            "name": self._name,
            "frames": n_frames,
            "height": height,
            "width": width,
            "methods": [{"name": name, "shortest": least} for name, least in VIEWS.items()],
            "window": {"most": longest, "default": view.window},
            "sigma": {"most": MAX_SIGMA, "default": _DEFAULT_SIGMA},
            "rate": self._bright_rate(view),
            "video": importlib.util.find_spec("av") is not None,
            "videoFrames": MAX_VIDEO_FRAMES,
        }

    def png(self, view: View, frame: int) -> bytes:
        """Picture of one key frame as a grey PNG.

        Raises:
            ValueError: unknown method, window too short or long, key frame too near an end.
        """
        key = (view, frame)
        with self._lock:
            if key in self._cache:
                self._cache.move_to_end(key)
                return self._cache[key]
        picture = _png(next(self._pictures(view, range(frame, frame + 1))))
        with self._lock:
            self._remember(key, picture)
        return picture

    def video(self, view: View, start: int, stop: int, step: int, fps: float) -> bytes:
        """Key frames start, start + step, ... before stop as an MP4.

        Raises:
            ImportError: the extra ``video`` is missing.
            ValueError: as ``png``, an empty range or one of more than ``MAX_VIDEO_FRAMES``.
        """
        try:
            import av  # noqa: F401
        except ImportError as error:
            raise ImportError("videos need PyAV: pip install 'sz-models[video]'") from error
        from sj_datasets.films import write_video

        if step < 1 or stop <= start:
            raise ValueError(f"no key frames from {start} to {stop - 1} in steps of {step}")
        keys = range(start, stop, step)
        if len(keys) > MAX_VIDEO_FRAMES:
            raise ValueError(f"{len(keys)} pictures asked for, at most {MAX_VIDEO_FRAMES} are made")
        pictures = self._pictures(view, keys)
        with self._one_video, tempfile.TemporaryDirectory(prefix="sz-models-") as folder:
            path = Path(folder) / "video.mp4"
            write_video(path, pictures, fps)
            return path.read_bytes()

    def pixel(self, x: int, y: int, frame: int, reach: int) -> dict[str, Any]:
        """Spikes of the pixel in column x, row y, up to ``reach`` frames from a frame.

        Returns:
            ``first`` frame, ``spikes`` as text of 0 and 1, and their ``rate`` per frame.

        Raises:
            ValueError: pixel or frame outside the recording.
        """
        n_frames, height, width = self._stream.shape
        if not (0 <= x < width and 0 <= y < height):
            raise ValueError(f"pixel ({x}, {y}) is outside {width} columns and {height} rows")
        self._check_frame(frame)
        reach = min(reach, self._longest_window() // 2)
        first, stop = max(0, frame - reach), min(n_frames, frame + reach + 1)
        spikes = self._stream[first:stop, y, x]
        return {
            "first": first,
            "spikes": "".join(map(str, spikes.tolist())),
            "rate": float(spikes.mean()),
        }

    def _pictures(self, view: View, keys: range) -> Iterator[NDArray[np.uint8]]:
        """Pictures ``[H, W]``; wrong arguments are refused here, not at the first picture."""
        self._check(view)
        self._check_frame(keys[0])
        self._check_frame(keys[-1])
        if view.method == "spikes":
            return (self._stream[key] * np.uint8(255) for key in keys)
        window, sigma = self._options(view)
        images = reconstruct_video(
            self._stream,
            view.method,
            start=keys.start,
            stop=keys.stop,
            step=keys.step,
            window=window,
            sigma=sigma,
            rate=view.rate,
        )
        return map(to_uint8, images)

    def _check(self, view: View) -> None:
        if view.method not in VIEWS:
            raise ValueError(f"unknown method {view.method!r}; choose from {', '.join(VIEWS)}")
        least = VIEWS[view.method]
        if least is not None:
            half_window(view.window, smallest=least)
            if view.window > self._longest_window():
                raise ValueError(
                    f"window must be at most {self._longest_window()} here, got {view.window}"
                )

    def _check_frame(self, frame: int) -> None:
        if not 0 <= frame < len(self._stream):
            raise ValueError(f"frame {frame} is outside frames 0..{len(self._stream) - 1}")

    def _options(self, view: View) -> tuple[int | None, float | None]:
        if VIEWS[view.method] is not None:
            return view.window, None
        return None, view.sigma

    def _longest_window(self) -> int:
        n_frames, height, width = self._stream.shape
        most = min(n_frames, _MAX_WINDOW, max(1, _DECODED_PIXELS // (height * width)))
        return most - 1 + most % 2

    def _bright_rate(self, view: View) -> float:
        """Spikes per frame that leave 1 pixel in 200 of the middle frame too bright."""
        middle = len(self._stream) // 2
        half = view.window // 2
        rates = self._stream[max(0, middle - half) : middle + half + 1].mean(axis=0)
        return round(max(0.01, float(np.quantile(rates, 0.995))), 3)

    def _remember(self, key: tuple[View, int], picture: bytes) -> None:
        if key in self._cache or len(picture) > _CACHE_BYTES:
            return
        self._cache[key] = picture
        self._cached_bytes += len(picture)
        while self._cached_bytes > _CACHE_BYTES:
            _, oldest = self._cache.popitem(last=False)
            self._cached_bytes -= len(oldest)


def _png(pixels: NDArray[np.uint8]) -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()
