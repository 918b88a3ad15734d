"""Perceptual metrics, computed by the library pyiqa: ``pip install 'sz-models[metrics]'``.

``lpips`` (AlexNet) compares with a true image; ``niqe``, ``brisque``, ``piqe``, ``liqe_mix`` and
``clipiqa`` look at the reconstruction alone.  Grey images go in as one channel to the metrics of
natural-scene statistics and as three equal ones to the networks; ``liqe_mix`` first resizes the
short side to 384 pixels.  pyiqa fetches the weights of a metric on its first use.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from .fidelity import Image, image_pair

__all__ = ["NAMES", "check_perceptual", "perceptual"]

NAMES = {
    "lpips": True,
    "niqe": False,
    "brisque": False,
    "piqe": False,
    "liqe_mix": False,
    "clipiqa": False,
}
"""Metrics of this module and whether they compare with a true image."""

_ONE_CHANNEL = ("niqe", "brisque", "piqe")
_LIQE_SIDE = 384


def perceptual(name: str, recon: Image, truth: Image | None = None) -> float:
    """Mean over the images of the metric ``name``, a key of :data:`NAMES`.

    Args:
        name: the metric.
        recon: images in [0, 1] of one channel or three.
        truth: images of the same shape, for ``lpips``.

    Raises:
        ValueError: shapes differ, values outside [0, 1], or images too small for the metric.
        ImportError: pyiqa is missing or does not load.
        OSError: the weights of the metric could not be fetched.
    """
    a, b = image_pair(recon, recon if truth is None else truth)
    images = [_prepared(name, a)]
    if NAMES[name]:
        images.append(_prepared(name, b))
    metric = _metric(name, str(a.device))
    values = []
    for pair in zip(*images, strict=True):
        try:
            with torch.no_grad():
                value = metric(*(image[None] for image in pair))
        except (AssertionError, RuntimeError, IndexError, ValueError) as error:
            raise ValueError(
                f"{name} of an image of {a.shape[-2]}x{a.shape[-1]} pixels: {_one_line(error)}"
            ) from error
        values.append(float(value))
    return sum(values) / len(values)


def check_perceptual(name: str) -> None:
    """Load pyiqa and the weights of a metric.

    Raises:
        ImportError: pyiqa is missing or does not load.
        OSError: the weights of the metric could not be fetched.
    """
    _metric(name, "cpu")


@cache
def _metric(name: str, device: str) -> Any:
    try:
        import pyiqa  # pyright: ignore[reportMissingImports]
    except ModuleNotFoundError as error:
        raise ImportError(
            f"metric {name!r} needs {error.name}: pip install 'sz-models[metrics]'"
        ) from error
    except Exception as error:  # a library built for another torch fails in its own ways
        raise ImportError(
            f"metric {name!r}: pyiqa is installed but does not load beside torch "
            f"{torch.__version__} ({_one_line(error)}); install the torchvision "
            "made for it"
        ) from error
    try:
        return pyiqa.create_metric(name, device=torch.device(device))
    except Exception as error:
        raise OSError(
            f"metric {name!r}: pyiqa could not load it ({_one_line(error)}); its weights are "
            "fetched on first use and need a connection"
        ) from error


def _prepared(name: str, images: Tensor) -> Tensor:
    """Float32 with the number of channels and the size that the metric takes."""
    if images.shape[1] not in (1, 3):
        raise ValueError(f"{name} takes images of 1 or 3 channels, got {images.shape[1]}")
    low, high = float(images.min()), float(images.max())
    if not (low >= 0 and high <= 1):
        raise ValueError(f"{name} takes images in [0, 1], got {low:.3g} to {high:.3g}; clip them")
    images = images.float()
    if name not in _ONE_CHANNEL:
        images = images.expand(-1, 3, -1, -1)
    if name == "liqe_mix":
        factor = _LIQE_SIDE / min(images.shape[-2:])
        height, width = (round(side * factor) for side in images.shape[-2:])
        images = F.interpolate(images, (height, width), mode="bilinear", align_corners=False)
        images = images.clamp(0, 1)
    return images


def _one_line(error: BaseException) -> str:
    return (" ".join(str(error).split()) or type(error).__name__)[:200]
