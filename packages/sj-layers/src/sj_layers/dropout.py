"""Dropout with one mask for the whole sequence.

mask ~ Bernoulli(1 - p) / (1 - p), drawn at the first step after a reset;  y[t] = x[t] * mask

A new mask at every step would let each unit through now and then, and so drop nothing on average
over time.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from sj_neurons.base import MemoryModule

__all__ = ["Dropout"]


class Dropout(MemoryModule):
    """Dropout whose mask is shared by all time steps until `reset()`; identity in eval mode.

    Args:
        p: probability of dropping a unit, in [0, 1).
        step_mode: `'s'` (`[N, *]`) or `'m'` (`[T, N, *]`).

    Raises:
        ValueError: `p` is out of range, or an input that does not fit the present mask.
    """

    def __init__(self, p: float = 0.5, step_mode: str = "s") -> None:
        super().__init__()
        if not 0.0 <= p < 1.0:
            raise ValueError(f"Dropout: p must be in [0, 1), got {p}")
        self.p = p
        self.register_memory("mask", None)
        self.step_mode = step_mode

    def single_step_forward(self, x: Tensor) -> Tensor:
        return x * self._mask_for(x) if self.training else x

    def multi_step_forward(self, x_seq: Tensor) -> Tensor:
        return x_seq * self._mask_for(x_seq[0]) if self.training else x_seq

    def _mask_for(self, x: Tensor) -> Tensor:
        if self.mask is None:
            self.mask = F.dropout(torch.ones_like(x.detach()), self.p, training=True)
        elif self.mask.shape != x.shape:
            raise ValueError(
                f"Dropout: input {tuple(x.shape)} does not match the mask "
                f"{tuple(self.mask.shape)} of the previous step; call reset() between sequences"
            )
        return self.mask

    def extra_repr(self) -> str:
        return f"p={self.p}"
