"""Leaky integrate-and-fire.

    h[t] = v[t-1] + (x[t] - (v[t-1] - v_rest)) / tau      decay_input=True
    h[t] = v[t-1] - (v[t-1] - v_rest) / tau + x[t]        decay_input=False

v_rest is v_reset, or 0 under soft reset. Fire and reset: see `base`.

Source: Gerstner, Kistler, Naud, Paninski, "Neuronal Dynamics", Cambridge University Press 2014.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from .._arguments import checked_time_constant
from ..surrogate import SurrogateFunction
from .base import BaseNode

__all__ = ["LIFNode"]


def distance_to_rest(v: Any, v_reset: float | None) -> Any:
    """v - v_rest, without an operation where v_rest is 0."""
    return v - v_reset if v_reset else v


class LIFNode(BaseNode):
    """Leaky integrate-and-fire neuron.

    Args:
        tau: membrane time constant in steps, greater than 1.
        decay_input: whether the input is divided by `tau` like the leak.
        v_threshold, v_reset, surrogate_function, detach_reset, step_mode, backend, store_v_seq:
            see :class:`BaseNode`.

    Example:
        >>> import torch
        >>> node = LIFNode(tau=2.0, step_mode="m")
        >>> node(torch.full((4, 1), 1.5)).flatten().tolist()   # T=4, N=1
        [0.0, 1.0, 0.0, 1.0]
    """

    def __init__(
        self,
        tau: float = 2.0,
        decay_input: bool = True,
        v_threshold: float | Tensor = 1.0,
        v_reset: float | None = 0.0,
        surrogate_function: SurrogateFunction | Callable[[Tensor], Tensor] | None = None,
        detach_reset: bool = False,
        step_mode: str = "s",
        backend: str | None = None,
        store_v_seq: bool = False,
    ) -> None:
        super().__init__(
            v_threshold, v_reset, surrogate_function, detach_reset, step_mode, backend, store_v_seq
        )
        self.tau = checked_time_constant(type(self).__name__, "tau", tau)
        self.decay_input = decay_input

    def charge(self, x: Any, v: Any) -> Any:
        leak = distance_to_rest(v, self.v_reset)
        if self.decay_input:
            return v + (x - leak) / self.tau
        return v - leak / self.tau + x

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, tau={self.tau}"
