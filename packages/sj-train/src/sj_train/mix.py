"""Mixup and CutMix of a batch with itself rolled by one sample.

    mixup:   x = lam * x + (1 - lam) * x[partner]        target mixed alike
    cutmix:  a box of x is taken from x[partner]; lam = share of the image that stays

``lam ~ Beta(alpha, alpha)``.  Batches are ``[N, C, H, W]`` images or ``[N, T, C, H, W]`` event
frames; a box is cut through all time steps.

mixup: Zhang et al., "mixup: Beyond Empirical Risk Minimization", ICLR 2018.
CutMix: Yun et al., "CutMix: Regularization Strategy to Train Strong Classifiers with Localizable
Features", ICCV 2019.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import one_hot
from torch.utils.data import default_collate

from .errors import ClassCountError, OptionError

__all__ = ["MixCollate", "cutmix", "mixup"]


def mixup(x: Tensor, weights: Tensor, lam: float) -> tuple[Tensor, Tensor]:
    """Blend a batch.

    Args:
        x: ``[N, C, H, W]`` or ``[N, T, C, H, W]``, floating point.
        weights: class weights ``[N, K]``.
        lam: share of the sample itself, 0 to 1.
    """
    _check_batch(x)
    return (
        torch.lerp(x.roll(1, 0), x, lam),
        torch.lerp(weights.roll(1, 0), weights, lam),
    )


def cutmix(x: Tensor, weights: Tensor, lam: float) -> tuple[Tensor, Tensor]:
    """Paste a box that covers about ``1 - lam`` of the image; arguments as :func:`mixup`."""
    _check_batch(x)
    height, width = x.shape[-2:]
    row, column = int(torch.randint(height, ())), int(torch.randint(width, ()))
    half = 0.5 * math.sqrt(1 - lam)
    half_height, half_width = int(half * height), int(half * width)
    top, bottom = max(0, row - half_height), min(height, row + half_height)
    left, right = max(0, column - half_width), min(width, column + half_width)
    mixed = x.clone()
    mixed[..., top:bottom, left:right] = x.roll(1, 0)[..., top:bottom, left:right]
    kept = 1 - (bottom - top) * (right - left) / (height * width)
    return mixed, torch.lerp(weights.roll(1, 0), weights, kept)


class MixCollate:
    """``collate_fn`` that mixes each batch by mixup or CutMix, chosen with equal chance.

    Args:
        num_classes: width K of the class weights ``[N, K]`` that replace the labels.
        mixup_alpha, cutmix_alpha: parameter of the Beta distribution; 0 leaves the method out.
        collate: builds the batch ``(x, labels)`` first.
    """

    def __init__(
        self,
        num_classes: int,
        *,
        mixup_alpha: float = 0.0,
        cutmix_alpha: float = 0.0,
        collate: Callable[[list[Any]], Any] = default_collate,
    ) -> None:
        if mixup_alpha < 0 or cutmix_alpha < 0:
            raise OptionError(
                f"mixup_alpha and cutmix_alpha must be at least 0, got {mixup_alpha} and "
                f"{cutmix_alpha}"
            )
        self.num_classes = num_classes
        methods = [(mixup, mixup_alpha), (cutmix, cutmix_alpha)]
        self.methods = [(method, alpha) for method, alpha in methods if alpha > 0]
        self.collate = collate

    def __call__(self, samples: list[Any]) -> tuple[Tensor, Tensor]:
        x, labels = self.collate(samples)
        if labels.numel() and int(labels.max()) >= self.num_classes:
            raise ClassCountError(
                f"the data hold class {int(labels.max())}, but {self.num_classes} classes are set"
            )
        weights = one_hot(labels, self.num_classes).to(torch.get_default_dtype())
        if not self.methods:
            return x, weights
        method, alpha = self.methods[int(torch.randint(len(self.methods), ()))]
        lam = float(torch.distributions.Beta(alpha, alpha).sample())
        return method(x, weights, lam)


def _check_batch(x: Tensor) -> None:
    if x.ndim not in (4, 5) or not x.is_floating_point():
        raise ValueError(
            "mixing needs a floating-point batch [N, C, H, W] or [N, T, C, H, W], got "
            f"{x.dtype} {tuple(x.shape)}"
        )
