"""Images to 8 bit and to files.

A value x in [0, 1] becomes round(255 x), the nearest level (ties to even); values outside are
clipped.  ``zoo_compat=True`` truncates instead, as Spike-Zoo does, which darkens by half a level.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from sj_datasets.atomic import atomic_path

__all__ = ["check_image_path", "save_image", "to_uint8"]


def to_uint8(image: Tensor | ArrayLike, *, zoo_compat: bool = False) -> NDArray[np.uint8]:
    """Image of any shape with values in [0, 1] -> uint8 of the same shape.

    Raises:
        ValueError: a value is NaN.
    """
    scaled = torch.as_tensor(image).detach().cpu().to(torch.float32).clamp(0, 1) * 255
    if bool(scaled.isnan().any()):
        raise ValueError("the image holds NaN")
    return (scaled.floor() if zoo_compat else scaled.round()).to(torch.uint8).numpy()


def save_image(
    path: str | os.PathLike[str], image: Tensor | ArrayLike, *, zoo_compat: bool = False
) -> None:
    """Write a grey image ``[H, W]`` (or ``[1, H, W]``, ``[1, 1, H, W]``) in [0, 1] to a file.

    The format follows the suffix; the file is replaced at the end or not at all.

    Raises:
        ValueError: unknown suffix, more than one image or channel, NaN.
        OSError: the folder is missing or not writable.
    """
    from PIL import Image

    check_image_path(path)
    pixels = to_uint8(image, zoo_compat=zoo_compat)
    if pixels.ndim < 2 or pixels.size != pixels.shape[-2] * pixels.shape[-1]:
        raise ValueError(f"one grey image [H, W] is needed, got shape {list(pixels.shape)}")
    picture = Image.fromarray(pixels.reshape(pixels.shape[-2:]))
    with atomic_path(path) as temporary:
        picture.save(temporary)


def check_image_path(path: str | os.PathLike[str]) -> None:
    """Refuse a file name whose suffix no image format has."""
    from PIL import Image

    known = Image.registered_extensions()
    suffix = Path(path).suffix.lower()
    if known.get(suffix) not in Image.SAVE:
        raise ValueError(f"{path}: {suffix or 'no suffix'} is not an image format; use .png")
