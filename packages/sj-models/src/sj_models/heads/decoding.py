"""One score per class from the scores of all time steps.

mean     1/T sum_t o[t]                 [T, N, K] -> [N, K]
sum      sum_t o[t]
last     o[T]
max      max_t o[t]
cummean  1/t sum_{s <= t} o[s]          [T, N, K]: a prediction at any time t
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

__all__ = ["DECODERS", "check_decode", "decode_time"]


def _cumulative_mean(o: Tensor) -> Tensor:
    steps = torch.arange(1, len(o) + 1, device=o.device, dtype=o.dtype)
    return o.cumsum(0) / steps.view(-1, *(1,) * (o.dim() - 1))


DECODERS: dict[str, Callable[[Tensor], Tensor]] = {
    "mean": lambda o: o.mean(0),
    "sum": lambda o: o.sum(0),
    "last": lambda o: o[-1],
    "max": lambda o: o.amax(0),
    "cummean": _cumulative_mean,
}


def check_decode(owner: str, decode: str) -> str:
    """`decode` if there is such a reading, else a `ValueError` that names `owner`."""
    if decode not in DECODERS:
        raise ValueError(f"{owner}: decode must be one of {tuple(DECODERS)}, got {decode!r}")
    return decode


def decode_time(scores: Tensor, decode: str = "mean") -> Tensor:
    """Read scores `[T, N, K]` over time; the table is in the module's text.

    Raises:
        ValueError: an unknown reading, or scores without time steps.
    """
    check_decode("decode_time", decode)
    if scores.dim() != 3 or len(scores) == 0:
        raise ValueError(
            f"decode_time: expected scores [T, N, K] with T > 0, got {tuple(scores.shape)}"
        )
    return DECODERS[decode](scores)
