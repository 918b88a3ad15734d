"""Integrate-and-fire that starts half charged, which makes spike counts round instead of floor.

    v[0] = v_threshold / 2;  h[t] = v[t-1] + x[t];  soft reset: see `base`

Source: Bu, Ding, Yu, Huang, "Optimized potential initialization for low-latency spiking neural
networks", AAAI 2022.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ..surrogate import SurrogateFunction
from .base import BaseNode

__all__ = ["HalfThresholdIFNode"]


class HalfThresholdIFNode(BaseNode):
    """Integrate-and-fire neuron whose potential starts at `v_threshold / 2`; soft reset.

    Args:
        v_threshold, surrogate_function, detach_reset, step_mode, backend, store_v_seq:
            see :class:`BaseNode`.

    Example:
        >>> import torch
        >>> node = HalfThresholdIFNode(step_mode="m")
        >>> node(torch.full((4, 1), 0.4)).sum().item()   # T=4, N=1: 1.6 rounds to 2 spikes
        2.0
    """

    def __init__(
        self,
        v_threshold: float | Tensor = 1.0,
        surrogate_function: SurrogateFunction | Callable[[Tensor], Tensor] | None = None,
        detach_reset: bool = False,
        step_mode: str = "s",
        backend: str | None = None,
        store_v_seq: bool = False,
    ) -> None:
        super().__init__(
            v_threshold, None, surrogate_function, detach_reset, step_mode, backend, store_v_seq
        )
        half = self.v_threshold / 2.0
        self.set_reset_value("v", half.detach() if isinstance(half, Tensor) else half)
        self.v = self.get_reset_value("v")

    def charge(self, x: Any, v: Any) -> Any:
        return v + x

    def _fitting_state(
        self, v: Any, shape: torch.Size, x: Tensor, dtype: torch.dtype | None = None
    ) -> Tensor:
        start = self.get_reset_value("v")
        if isinstance(v, Tensor) and isinstance(start, Tensor) and v.shape == start.shape:
            v = v.expand(shape)  # a threshold per channel starts every channel at its own half
        return super()._fitting_state(v, shape, x, dtype)
