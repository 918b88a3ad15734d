"""ST-BIF: a bipolar integrate-and-fire neuron that reproduces a quantizer.

    q'[t] = q[t-1] + x[t] / q_threshold
    s[t]  =  1 where q'[t] >= 1 and acc_q[t-1] < pos_max
            -1 where q'[t] <  0 and acc_q[t-1] > neg_min
             0 elsewhere
    q[t]  = q'[t] - s[t];  acc_q[t] = acc_q[t-1] + s[t]
    y[t]  = s[t] q_threshold

q starts at 1/2. Once the inputs have come to rest, acc_q is their sum over q_threshold, rounded and
clamped to [neg_min, pos_max], which has `level` integers. For inference: nothing here has a
gradient.

Source: You et al., "SpikeZIP-TF: conversion is all you need for transformer-based SNN", ICML 2024.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor

from .. import ops
from .._arguments import checked_count, checked_number
from .base import BaseNode

__all__ = ["STBIFNeuron"]


class STBIFNeuron(BaseNode):
    """Ternary neuron with a bounded spike count; outputs -q_threshold, 0 or q_threshold.

    Args:
        q_threshold: step of the quantizer, greater than 0; a tensor that broadcasts to `[N, *]`
            becomes a buffer.
        level: number of integers that the count may take, at least 2.
        sym: whether they lie around 0 (`-level // 2` ... `level // 2 - 1`) or start at 0.
        pos_max, neg_min: bounds of the count that replace those of `level` and `sym`.
        step_mode, backend, store_v_seq: see :class:`BaseNode`; `v_seq` holds the potential `q`.

    Example:
        >>> import torch
        >>> node = STBIFNeuron(0.5, level=4, step_mode="m")
        >>> node(torch.tensor([[1.2], [0.0], [0.0], [0.0]])).flatten().tolist()   # T=4, N=1
        [0.5, 0.5, 0.0, 0.0]
    """

    states: ClassVar[dict[str, float]] = {"q": 0.5, "acc_q": 0.0}
    waivers: ClassVar[dict[str, str]] = {
        "gradcheck": "a converted quantizer for inference has no gradient"
    }
    q_threshold: float | Tensor

    def __init__(
        self,
        q_threshold: float | Tensor,
        level: int,
        sym: bool = False,
        pos_max: float | None = None,
        neg_min: float | None = None,
        step_mode: str = "s",
        backend: str | None = None,
        store_v_seq: bool = False,
    ) -> None:
        super().__init__(step_mode=step_mode, backend=backend, store_v_seq=store_v_seq)
        del self.surrogate_function  # the step has no gradient
        owner = type(self).__name__
        if isinstance(q_threshold, Tensor):
            self.register_buffer("q_threshold", q_threshold.detach().clone())
        else:
            self.q_threshold = checked_number(owner, "q_threshold", q_threshold)
        if not bool(torch.as_tensor(self.q_threshold > 0).all()):
            raise ValueError(f"{owner}: q_threshold must be greater than 0, got {q_threshold}")
        self.level = checked_count(owner, "level", level)
        self.sym = bool(sym)
        if pos_max is None:
            pos_max = level // 2 - 1 if sym else level - 1
        if neg_min is None:
            neg_min = -level // 2 if sym else 0
        self.pos_max = checked_number(owner, "pos_max", pos_max)
        self.neg_min = checked_number(owner, "neg_min", neg_min)
        if not self.neg_min < self.pos_max:
            raise ValueError(
                f"{owner}: the count needs room, at least 2 levels and neg_min < pos_max; "
                f"got level={level}, neg_min={neg_min}, pos_max={pos_max}"
            )

    def charge(self, x: Any, q: Any) -> Any:
        return q + ops.detach(x) / self.q_threshold

    def count(self, q: Any, acc_q: Any) -> Any:
        """Count of spikes after the charged potential `q` has fired."""
        up = ops.where(acc_q < self.pos_max, acc_q + 1.0, acc_q)
        down = ops.where(acc_q > self.neg_min, acc_q - 1.0, acc_q)
        return ops.where(q >= 1.0, up, ops.where(q < 0.0, down, acc_q))

    def step(self, x: Any, q: Any, acc_q: Any) -> tuple[Any, Any, Any]:
        q = self.charge(x, q)
        total = self.count(q, acc_q)
        spike = total - acc_q
        return spike * self.q_threshold, q - spike, total

    def neuronal_charge(self, x: Tensor) -> None:
        self.q = self.charge(x, self.q)

    def neuronal_fire(self) -> Tensor:
        return self.count(self.q, self.acc_q) - self.acc_q

    def neuronal_reset(self, spike: Tensor) -> None:
        self.q, self.acc_q = self.q - spike, self.acc_q + spike

    def _hooked_step(self, x: Tensor) -> Tensor:
        return super()._hooked_step(x) * self.q_threshold

    def extra_repr(self) -> str:
        q_threshold = self.q_threshold
        if isinstance(q_threshold, Tensor):
            q_threshold = f"tensor{tuple(q_threshold.shape)}"
        return (
            f"q_threshold={q_threshold}, level={self.level}, sym={self.sym}, "
            f"pos_max={self.pos_max}, neg_min={self.neg_min}, step_mode={self.step_mode}, "
            f"backend={self.backend}"
        )
