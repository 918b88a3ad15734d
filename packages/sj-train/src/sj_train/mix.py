"""Mixup, CutMix and EventMix of a batch with itself rolled by one sample.

    mixup:     x = lam * x + (1 - lam) * x[partner]      target mixed alike
    cutmix:    a box of x is taken from x[partner]; lam = share of the image that stays
    eventmix:  cells (t, h, w) near random centres are kept, all others taken from x[partner];
               target by the share of events that each of the two contributes

``lam ~ Beta(alpha, alpha)``.  Batches are ``[N, C, H, W]`` images or ``[N, T, C, H, W]`` event
frames; a box is cut through all time steps.

mixup: Zhang et al., "mixup: Beyond Empirical Risk Minimization", ICLR 2018.
CutMix: Yun et al., "CutMix: Regularization Strategy to Train Strong Classifiers with Localizable
Features", ICCV 2019.
EventMix: Shen, Zhao, Zeng, "EventMix: An Efficient Augmentation Strategy for Event-Based Data",
2022.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import one_hot
from torch.utils.data import default_collate

from .errors import ClassCountError, DataError, OptionError
from .metrics import as_classes

__all__ = ["MixCollate", "cutmix", "eventmix", "mixup"]


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


def eventmix(x: Tensor, weights: Tensor, lam: float) -> tuple[Tensor, Tensor]:
    """Keep the share ``lam`` of the cells, those that a mixture of Gaussians makes likeliest.

    Arguments as :func:`mixup`; a sample without events counts by its cells.
    """
    _check_batch(x)
    partner = x.roll(1, 0)
    kept = _likely_cells([*x.shape[1:-3], *x.shape[-2:]], lam)
    mask = kept.to(x.dtype).unsqueeze(-3)  # the same for all channels
    dims = tuple(range(1, x.ndim))
    own, other = (x * mask).abs().sum(dims), (partner * (1 - mask)).abs().sum(dims)
    total = own + other
    share = torch.where(total > 0, own / total.clamp(min=1e-12), kept.float().mean())
    share = share.to(weights.dtype).unsqueeze(1)
    return torch.where(kept.unsqueeze(-3), x, partner), torch.lerp(
        weights.roll(1, 0), weights, share
    )


def _likely_cells(shape: list[int], lam: float, centres: int = 3) -> Tensor:
    """The ``lam`` of all cells with the highest density of a random mixture of Gaussians."""
    axes = [torch.linspace(0, 1, size) for size in shape]
    density = torch.zeros(shape)
    for _ in range(centres):
        share = torch.rand(())
        parts = []
        for axis, place in enumerate(axes):
            width = torch.empty(()).uniform_(0.1, 0.5)
            fall = -0.5 * ((place - torch.rand(())) / width) ** 2
            parts.append(fall.view([-1 if axis == other else 1 for other in range(len(axes))]))
        density = density + share * sum(parts, torch.zeros(())).exp()
    kept = torch.zeros(density.numel(), dtype=torch.bool)
    kept[density.flatten().argsort(descending=True)[: round(lam * density.numel())]] = True
    return kept.view(shape)


class MixCollate:
    """``collate_fn`` that mixes each batch by one of the methods, chosen with equal chance.

    Args:
        num_classes: width K of the class weights ``[N, K]`` that replace the labels.
        mixup_alpha, cutmix_alpha, eventmix_alpha: parameter of the Beta distribution; 0 leaves the
            method out.
        collate: builds the batch ``(x, labels)`` first.
    """

    def __init__(
        self,
        num_classes: int,
        *,
        mixup_alpha: float = 0.0,
        cutmix_alpha: float = 0.0,
        eventmix_alpha: float = 0.0,
        collate: Callable[[list[Any]], Any] = default_collate,
    ) -> None:
        methods = [(mixup, mixup_alpha), (cutmix, cutmix_alpha), (eventmix, eventmix_alpha)]
        for method, alpha in methods:
            if alpha < 0:
                raise OptionError(f"{method.__name__}_alpha must be at least 0, got {alpha}")
        self.num_classes = num_classes
        self.methods = [(method, alpha) for method, alpha in methods if alpha > 0]
        self.collate = collate

    def __call__(self, samples: list[Any]) -> tuple[Tensor, Tensor]:
        x, labels = self.collate(samples)
        labels = as_classes(labels)
        if labels.ndim != 1 or labels.dtype != torch.int64:
            raise DataError(
                f"mixing needs one class per sample, got labels {labels.dtype} "
                f"{tuple(labels.shape)}"
            )
        if labels.numel() and int(labels.min()) < 0:
            raise ClassCountError(f"the data hold class {int(labels.min())}; classes count from 0")
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
