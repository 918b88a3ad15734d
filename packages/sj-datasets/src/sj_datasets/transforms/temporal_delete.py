"""Random temporal deletion: train with fewer steps than a sample has.

Fang et al., "Deep Residual Learning in Spiking Neural Networks", 2021.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ._random import Rng
from ._samples import Transform

__all__ = ["RandomTemporalDelete", "random_temporal_delete"]


def random_temporal_delete(x_seq: Any, T_remain: int, batch_first: bool, *, rng: Rng = None) -> Any:
    """Keep ``T_remain`` random steps of a sequence, in their order.

    Args:
        x_seq: numpy array or torch tensor ``[T, N, *]``, or ``[N, T, *]`` if ``batch_first``; one
            sample ``[T, C, H, W]`` needs ``batch_first=False``.
        T_remain: number of steps that stay, 0..T.
        batch_first: whether time is the second dimension.
        rng: seed or generator; ``None`` draws from numpy's global state.

    Raises:
        ValueError: T_remain is out of range, or x_seq has no such dimension.
    """
    if rng is None:
        # the legacy state: np.random.seed and the loaders of torch set it
        generator: Any = np.random
    else:
        generator = np.random.default_rng(rng)
    return _delete(x_seq, T_remain, batch_first, generator)


class RandomTemporalDelete(Transform):
    """:func:`random_temporal_delete` as a transform of samples.

    Args:
        T_remain: number of steps that stay.
        batch_first: whether time is the second dimension.
        rng: seed, generator or ``None``; see :mod:`sj_datasets.transforms`.

    Raises:
        ValueError: T_remain is negative.

    Example:
        >>> keep = RandomTemporalDelete(T_remain=3, batch_first=False, rng=0)
        >>> keep(np.arange(8)[:, None]).shape
        (3, 1)
    """

    def __init__(self, T_remain: int, batch_first: bool, *, rng: Rng = None) -> None:
        super().__init__(rng=rng)
        if T_remain < 0:
            raise ValueError(f"T_remain must not be negative, got {T_remain}")
        self.T_remain = T_remain
        self.batch_first = batch_first

    def apply(self, sample: Any, rng: np.random.Generator) -> Any:
        return _delete(sample, self.T_remain, self.batch_first, rng)

    def __repr__(self) -> str:
        return f"RandomTemporalDelete(T_remain={self.T_remain}, batch_first={self.batch_first})"


def _delete(x_seq: Any, T_remain: int, batch_first: bool, generator: Any) -> Any:
    dimension = 1 if batch_first else 0
    if len(x_seq.shape) <= dimension:
        raise ValueError(
            f"a sequence of shape {list(x_seq.shape)} has no dimension {dimension}; "
            f"batch_first={batch_first} expects [{'N, T' if batch_first else 'T'}, *]"
        )
    T = int(x_seq.shape[dimension])
    if not 0 <= T_remain <= T:
        raise ValueError(f"T_remain must be 0..{T}, the steps of the sequence, got {T_remain}")
    steps = np.sort(generator.choice(T, T_remain, replace=False))
    return x_seq[:, steps] if batch_first else x_seq[steps]
