"""How predictions of a spiking classifier unfold over time.

    accuracy@t   accuracy of the scores read up to step t
    latency      first step t (from 1) from which on the predicted class stays what it is at T

Firing rates are in `firing_rates`, operations and energy in `sj_layers.profile`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .heads.decoding import decode_time
from .metrics import accuracy

__all__ = ["accuracy_per_step", "latency_to_decision"]


def accuracy_per_step(
    scores: Tensor, target: Tensor, topk: int = 1, cumulative: bool = True
) -> Tensor:
    """Accuracy at each time step in percent, `[T]`.

    Args:
        scores: `[T, N, K]`.
        target: class indices `[N]`.
        topk: how many best classes count.
        cumulative: read the mean of all steps so far; `False` reads each step alone.

    Raises:
        ValueError: shapes that do not fit.
    """
    read = _read(scores, cumulative)
    return torch.stack([accuracy(o, target, topk=topk)[topk] for o in read])


def latency_to_decision(scores: Tensor, cumulative: bool = True) -> Tensor:
    """Steps until the predicted class no longer changes, `[N]`, from 1 to T.

    Args:
        scores: `[T, N, K]`.
        cumulative: read the mean of all steps so far; `False` reads each step alone.

    Raises:
        ValueError: scores without a time axis.

    Example:
        >>> latency_to_decision(torch.tensor([[[1.0, 0.0]], [[0.0, 2.0]], [[0.0, 1.0]]])).tolist()
        [2]
    """
    classes = _read(scores, cumulative).argmax(-1)
    settled = (classes == classes[-1]).flip(0).int().cumprod(0)
    return len(classes) + 1 - settled.sum(0)


def _read(scores: Tensor, cumulative: bool) -> Tensor:
    cumulated = decode_time(scores, "cummean")
    return cumulated if cumulative else scores
