"""From a Pillow image to a normalised tensor ``[3, H, W]``, with and without augmentation."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from .errors import OptionError
from .extras import require

if TYPE_CHECKING:
    from PIL import Image
    from torch import nn

__all__ = [
    "CIFAR10_STATISTICS",
    "IMAGENET_STATISTICS",
    "EvalTransform",
    "Statistics",
    "TrainTransform",
    "auto_augment",
    "random_erase",
]

Statistics = tuple[tuple[float, float, float], tuple[float, float, float]]
IMAGENET_STATISTICS: Statistics = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
CIFAR10_STATISTICS: Statistics = ((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010))
INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "lanczos", "box", "hamming")
AUTO_AUGMENT_POLICIES = ("imagenet", "cifar10", "svhn")


class TrainTransform:
    """Random resized crop, flip, automatic augmentation, normalisation, random erasing.

    Args:
        crop_size: side of the result in pixels.
        policy: ``ta_wide``, ``ra``, an AutoAugment policy name, or None.
        erase: probability of erasing a box.
    """

    def __init__(
        self,
        *,
        crop_size: int,
        interpolation: str = "bilinear",
        policy: str | None = "ta_wide",
        erase: float = 0.1,
        statistics: Statistics = IMAGENET_STATISTICS,
    ) -> None:
        self.crop_size = crop_size
        self.interpolation = _interpolation(interpolation)
        self.augment = None if policy is None else auto_augment(policy)
        self.erase = erase
        self.statistics = statistics

    def __call__(self, image: Image.Image) -> Tensor:
        box = _random_box(image.width, image.height)
        size = (self.crop_size, self.crop_size)
        x = _to_tensor(image.resize(size, self.interpolation, box=box))
        if torch.rand(()) < 0.5:
            x = x.flip(-1)
        if self.augment is not None:
            x = self.augment(x.unsqueeze(0)).squeeze(0)
        x = _normalise(x, self.statistics)
        if torch.rand(()) < self.erase:
            x = random_erase(x)
        return x


class EvalTransform:
    """Shorter side to ``resize_size``, central ``crop_size`` square, normalisation."""

    def __init__(
        self,
        *,
        resize_size: int,
        crop_size: int,
        interpolation: str = "bilinear",
        statistics: Statistics = IMAGENET_STATISTICS,
    ) -> None:
        self.resize_size = resize_size
        self.crop_size = crop_size
        self.interpolation = _interpolation(interpolation)
        self.statistics = statistics

    def __call__(self, image: Image.Image) -> Tensor:
        shorter = min(image.size)
        width = max(1, image.width * self.resize_size // shorter)
        height = max(1, image.height * self.resize_size // shorter)
        image = image.resize((width, height), self.interpolation)
        left, top = round((width - self.crop_size) / 2), round((height - self.crop_size) / 2)
        # Pillow fills what lies outside of a smaller image with black.
        image = image.crop((left, top, left + self.crop_size, top + self.crop_size))
        return _normalise(_to_tensor(image), self.statistics)


def auto_augment(policy: str) -> nn.Module:
    """Augmentation of images ``[N, 3, H, W]`` in 0..1: ``ta_wide``, ``ra`` or a policy name.

    TrivialAugment (Müller and Hutter, 2021), RandAugment (Cubuk et al., 2020), AutoAugment
    (Cubuk et al., 2019), by kornia.
    """
    known = ("ta_wide", "ra", *AUTO_AUGMENT_POLICIES)
    if policy not in known:
        raise OptionError(
            f"argument --auto-augment: unknown policy {policy!r}; known are {', '.join(known)}, "
            "none"
        )
    auto = require("kornia.augmentation.auto", "images")
    if policy == "ta_wide":
        return auto.TrivialAugment()
    if policy == "ra":
        return auto.RandAugment(n=2, m=9)
    return auto.AutoAugment(policy)


def random_erase(x: Tensor) -> Tensor:
    """``x`` ``[C, H, W]`` with one random box set to 0 (2-33 % of the area).

    Zhong et al., "Random Erasing Data Augmentation", AAAI 2020.
    """
    height, width = x.shape[-2:]
    for _ in range(10):
        area = height * width * float(torch.empty(()).uniform_(0.02, 0.33))
        ratio = math.exp(float(torch.empty(()).uniform_(math.log(0.3), math.log(3.3))))
        box_height, box_width = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < box_height < height and 0 < box_width < width:
            top = int(torch.randint(height - box_height + 1, ()))
            left = int(torch.randint(width - box_width + 1, ()))
            x = x.clone()
            x[..., top : top + box_height, left : left + box_width] = 0
            break
    return x


def _interpolation(name: str) -> Image.Resampling:
    if name.lower() not in INTERPOLATIONS:
        raise OptionError(
            f"argument --interpolation: unknown method {name!r}; "
            f"known are {', '.join(INTERPOLATIONS)}"
        )
    return require("PIL.Image", "images").Resampling[name.upper()]


def _random_box(width: int, height: int) -> tuple[int, int, int, int]:
    """Box of 8-100 % of the area and 3:4 to 4:3 sides, as (left, top, right, bottom)."""
    for _ in range(10):
        area = width * height * float(torch.empty(()).uniform_(0.08, 1.0))
        ratio = math.exp(float(torch.empty(()).uniform_(math.log(3 / 4), math.log(4 / 3))))
        w, h = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < w <= width and 0 < h <= height:
            left = int(torch.randint(width - w + 1, ()))
            top = int(torch.randint(height - h + 1, ()))
            return left, top, left + w, top + h
    # Very long images: the largest central box of an allowed shape.
    w, h = min(width, round(height * 4 / 3)), min(height, round(width * 4 / 3))
    left, top = (width - w) // 2, (height - h) // 2
    return left, top, left + w, top + h


def _to_tensor(image: Image.Image) -> Tensor:
    data = torch.frombuffer(bytearray(image.convert("RGB").tobytes()), dtype=torch.uint8)
    return data.view(image.height, image.width, 3).permute(2, 0, 1).contiguous().float() / 255


def _normalise(x: Tensor, statistics: Statistics) -> Tensor:
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in statistics)
    return (x - mean) / std
