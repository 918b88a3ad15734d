"""Frames as pictures and films: channel 0 green, channel 1 blue, both together turquoise.

The brightness of a pixel is the square root of its count over a full count, which one pixel in a
hundred of those that fired exceeds, so that a few hot pixels do not darken everything else.
Needs the extra ``media``.
"""

from __future__ import annotations

import io
import logging
import os
import sys
import tempfile
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .atomic import atomic_path
from .films import write_animation, write_video

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["frames_to_rgb", "play_frame", "save_as_pic", "save_frames"]

_log = logging.getLogger(__name__)

PathLike = str | os.PathLike[str]
_FPS = 10.0
_SUFFIXES = (".gif", ".png", ".mp4")


def play_frame(x: ArrayLike, save_gif_to: PathLike | None = None) -> None:
    """Show frames ``[T, 2, H, W]`` as a film that repeats, or save it.

    In a notebook the film appears below the cell; in a terminal on a desktop the system's viewer
    opens it. Elsewhere the frames are drawn once and nothing is shown.

    Args:
        x: frames; an array, or a tensor on any device.
        save_gif_to: write a ``.gif``, an animated ``.png`` or an ``.mp4`` instead.

    Raises:
        TypeError: x holds no numbers.
        ValueError: x has another shape, or the suffix is another one.
        ImportError: the extra ``media`` is missing.
    """
    if save_gif_to is not None:
        save_frames(x, save_gif_to)
        return
    images = frames_to_rgb(x)
    film = io.BytesIO()
    write_animation(film, _zoomed(images, max(1, 256 // max(images.shape[1:3]))), "GIF", _FPS)
    if _shown_in_notebook(film.getvalue()):
        return
    if _has_desktop():
        folder = tempfile.mkdtemp(prefix="sj-datasets-")  # the viewer outlives this process
        path = Path(folder) / "frames.gif"
        path.write_bytes(film.getvalue())
        webbrowser.open(path.as_uri())
        return
    _log.info("no display: %d frames were drawn and not shown", len(images))


def save_frames(x: ArrayLike, path: PathLike, *, fps: float = _FPS, zoom: int = 1) -> None:
    """Write frames ``[T, 2, H, W]`` as a film; the suffix chooses the format.

    Args:
        x: frames; an array, or a tensor on any device.
        path: ends in ``.gif``, ``.png`` (animated) or ``.mp4``.
        fps: frames per second; a GIF counts in hundredths of a second.
        zoom: how many pixels wide and high each pixel becomes.

    Raises:
        TypeError: x holds no numbers.
        ValueError: x has another shape, or the suffix is another one.
        FileNotFoundError: the folder does not exist.
        ImportError: the extra ``media`` is missing.
    """
    target = Path(path)
    suffix = target.suffix.lower()
    if suffix not in _SUFFIXES:
        raise ValueError(f"{target}: frames are written to {', '.join(_SUFFIXES)} files")
    if not 0 < fps <= 1000 or zoom < 1:
        raise ValueError(f"fps must be in (0, 1000] and zoom at least 1, got {fps} and {zoom}")
    images = _zoomed(frames_to_rgb(x), zoom)
    with atomic_path(target) as temporary:
        if suffix == ".mp4":
            write_video(temporary, images, fps)
        else:
            write_animation(temporary, images, "GIF" if suffix == ".gif" else "PNG", fps)


def save_as_pic(x: ArrayLike, save_pic_to: PathLike = "./", pic_first_name: str = "pic") -> None:
    """Write each of the frames ``[T, 2, H, W]`` to ``<save_pic_to>/<pic_first_name>_<t>.png``.

    Raises:
        TypeError: x holds no numbers.
        ValueError: x has another shape.
        FileNotFoundError: the folder does not exist.
        ImportError: the extra ``media`` is missing.
    """
    for t, image in enumerate(_pictures(frames_to_rgb(x))):
        with atomic_path(Path(save_pic_to) / f"{pic_first_name}_{t}.png") as temporary:
            image.save(temporary, "PNG")


def frames_to_rgb(x: ArrayLike) -> NDArray[np.uint8]:
    """Frames ``[T, 2, H, W]`` as colours ``[T, H, W, 3]``; what is negative or not finite is black.

    Raises:
        TypeError: x holds no numbers.
        ValueError: x has another shape, or no frames.
    """
    frames = _as_array(x)
    if frames.ndim != 4 or frames.shape[1] != 2 or 0 in frames.shape:
        hint = "; take one sample of the batch" if frames.ndim == 5 else ""
        raise ValueError(f"frames must have shape [T, 2, H, W], got {list(frames.shape)}{hint}")
    counts = np.nan_to_num(frames.astype(np.float32), posinf=0.0).clip(min=0)
    fired = counts[counts > 0]
    full = float(np.quantile(fired, 0.99)) if fired.size else 1.0
    brightness = np.sqrt(np.minimum(counts / full, 1))
    images = np.zeros((len(counts), *counts.shape[2:], 3), np.uint8)
    images[..., 1:] = np.rint(255 * brightness).astype(np.uint8).transpose(0, 2, 3, 1)
    return images


def _as_array(x: Any) -> NDArray[Any]:
    if hasattr(x, "detach"):  # a tensor, maybe of a graph or on another device
        x = x.detach().cpu()
    array = np.asarray(x)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"frames must hold real numbers, got {array.dtype}")
    return array


def _zoomed(images: NDArray[np.uint8], zoom: int) -> NDArray[np.uint8]:
    return images.repeat(zoom, axis=1).repeat(zoom, axis=2) if zoom > 1 else images


def _pictures(images: NDArray[np.uint8]) -> list[Image.Image]:
    try:
        from PIL import Image
    except ImportError as error:
        raise ImportError("pictures need Pillow: pip install 'sj-datasets[media]'") from error
    return [Image.fromarray(image) for image in images]


def _shown_in_notebook(film: bytes) -> bool:
    # whoever runs in a notebook has imported IPython already
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    if getattr(shell, "kernel", None) is None:
        return False
    from IPython.display import Image, display  # pyright: ignore[reportMissingImports]

    display(Image(data=film, format="gif"))
    return True


def _has_desktop() -> bool:
    if not sys.stdout.isatty():
        return False
    if sys.platform in ("win32", "darwin"):
        return "SSH_CONNECTION" not in os.environ
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
