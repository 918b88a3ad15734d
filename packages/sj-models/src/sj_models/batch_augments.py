"""Augmentation of whole batches: each sample is mixed with another one of its batch.

    Mixup    x' = lam x + (1 - lam) x[perm]
    CutMix   x' = x with a box of x[perm] pasted in, 1 - lam = area of the box / area of the image
    both     q' = lam q + (1 - lam) q[perm]            q: scores [N, K]

lam ~ Beta(alpha, alpha) is drawn once per batch, so all T steps of a sample are mixed alike; so is
the permutation. Inputs are `[N, C, H, W]` or `[T, N, C, H, W]`. Random numbers come from torch's
global generator. Sources: mixup, arXiv 1710.09412; CutMix, arXiv 1905.04899.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, cast

import torch
from torch import Tensor

from .registry import MODELS

__all__ = ["BatchAugment", "CutMix", "Mixup", "RandomBatchAugment"]

BatchAugment = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


def _require_batch(owner: str, inputs: Tensor, score: Tensor) -> None:
    if inputs.dim() not in (4, 5) or score.dim() != 2 or inputs.shape[-4] != score.shape[0]:
        raise ValueError(
            f"{owner}: expected inputs [N, C, H, W] or [T, N, C, H, W] and scores [N, K] with the "
            f"same N, got {tuple(inputs.shape)} and {tuple(score.shape)}"
        )


def _permutation(inputs: Tensor) -> Tensor:
    return torch.randperm(inputs.shape[-4], device=inputs.device)


class _Mixing:
    """What both ways of mixing share: alpha, and the draw of lam."""

    def __init__(self, alpha: float = 1.0) -> None:
        if not alpha > 0:
            raise ValueError(f"{type(self).__name__}: alpha must be positive, got {alpha}")
        self.alpha = float(alpha)

    def draw(self) -> float:
        """One lam in [0, 1]."""
        return float(torch.distributions.Beta(self.alpha, self.alpha).sample())

    def __repr__(self) -> str:
        return f"{type(self).__name__}(alpha={self.alpha})"


class Mixup(_Mixing):
    """Blends two samples and their scores.

    Args:
        alpha: both parameters of the Beta distribution of lam, positive.

    Raises:
        ValueError: `alpha` is not positive; on a call: shapes do not fit.
    """

    def __call__(self, inputs: Tensor, score: Tensor) -> tuple[Tensor, Tensor]:
        _require_batch(type(self).__name__, inputs, score)
        lam, perm = self.draw(), _permutation(inputs)
        other = inputs.index_select(inputs.dim() - 4, perm)
        return torch.lerp(other, inputs, lam), torch.lerp(score[perm], score, lam)


class CutMix(_Mixing):
    """Pastes one box of another sample, at one place for the whole batch and all steps.

    The box is cut off at the border of the image, and lam set to the area that is really left.

    Args:
        alpha: both parameters of the Beta distribution of lam, positive.

    Raises:
        ValueError: `alpha` is not positive; on a call: shapes do not fit.
    """

    def __call__(self, inputs: Tensor, score: Tensor) -> tuple[Tensor, Tensor]:
        _require_batch(type(self).__name__, inputs, score)
        perm = _permutation(inputs)
        height, width = inputs.shape[-2:]
        top, bottom, left, right = self._box(height, width, self.draw())
        mixed = inputs.clone()
        other = inputs[..., top:bottom, left:right].index_select(inputs.dim() - 4, perm)
        mixed[..., top:bottom, left:right] = other
        lam = 1.0 - (bottom - top) * (right - left) / (height * width)
        return mixed, torch.lerp(score[perm], score, lam)

    @staticmethod
    def _box(height: int, width: int, lam: float) -> tuple[int, int, int, int]:
        ratio = math.sqrt(1.0 - lam)
        h, w = int(height * ratio), int(width * ratio)
        y, x = (int(torch.randint(size, ())) for size in (height, width))
        top, left = max(y - h // 2, 0), max(x - w // 2, 0)
        return top, min(y - h // 2 + h, height), left, min(x - w // 2 + w, width)


class RandomBatchAugment:
    """One of several augmentations per batch, chosen at random.

    Args:
        augments: an augmentation or several, each a function `(inputs, score) -> (inputs, score)`
            or a config such as `{"type": "Mixup", "alpha": 0.2}`.
        probs: how often each one is chosen; what is missing to 1 leaves the batch as it is. Equal
            shares by default.

    Raises:
        TypeError: an augmentation that is neither a function nor a config.
        ValueError: as many `probs` as `augments` are needed, none negative, with a sum up to 1.
    """

    def __init__(
        self,
        augments: BatchAugment | dict[str, Any] | Sequence[BatchAugment | dict[str, Any]],
        probs: float | Sequence[float] | None = None,
    ) -> None:
        several = list(augments) if isinstance(augments, list | tuple) else [augments]
        self.augments = [_built(augment, f"augments[{i}]") for i, augment in enumerate(several)]
        if not self.augments:
            raise ValueError("RandomBatchAugment: give at least one augmentation")
        count = len(self.augments)
        if probs is None:
            probs = [1.0 / count] * count
        self.probs = [float(probs)] if isinstance(probs, int | float) else [float(p) for p in probs]
        if len(self.probs) != count or min(self.probs) < 0 or sum(self.probs) > 1 + 1e-6:
            raise ValueError(
                f"RandomBatchAugment: expected {count} probabilities, none negative, with a sum of "
                f"at most 1, got {self.probs}"
            )

    def __call__(self, inputs: Tensor, score: Tensor) -> tuple[Tensor, Tensor]:
        u, total = float(torch.rand(())), 0.0
        for augment, prob in zip(self.augments, self.probs, strict=True):
            total += prob
            if u < total:
                return augment(inputs, score)
        return inputs, score

    def __repr__(self) -> str:
        return f"RandomBatchAugment({self.augments}, probs={self.probs})"


def _built(augment: Any, path: str) -> BatchAugment:
    made: Any = MODELS.build_at(path, augment) if isinstance(augment, dict) else augment
    if not callable(made):
        raise TypeError(
            f"{path}: an augmentation is a function (inputs, score) or a config with a type, got "
            f"{type(made).__name__}"
        )
    return cast(BatchAugment, made)
