"""Quadratic integrate-and-fire.

    h[t] = v[t-1] + (x[t] + a0 (v[t-1] - v_rest) (v[t-1] - v_c)) / tau

Between v_rest and v_c the membrane falls back to v_rest, above v_c it runs away by itself.
Fire and reset: see `base`.

Source: Gerstner, Kistler, Naud, Paninski, "Neuronal Dynamics", Cambridge University Press 2014.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from .._arguments import checked_number, checked_positive, checked_time_constant
from ..surrogate import SurrogateFunction
from .base import BaseNode

__all__ = ["QIFNode"]


class QIFNode(BaseNode):
    """Quadratic integrate-and-fire neuron.

    Args:
        tau: membrane time constant in steps, greater than 1.
        v_c: critical potential above which the membrane excites itself.
        a0: strength of the quadratic term, greater than 0.
        v_threshold: see :class:`BaseNode`; greater than `v_reset`.
        v_rest: resting potential, at least `v_reset`.
        v_reset, surrogate_function, detach_reset, step_mode, backend, store_v_seq:
            see :class:`BaseNode`.

    Example:
        >>> import torch
        >>> node = QIFNode(v_threshold=2.0, step_mode="m")
        >>> node(torch.tensor([[3.0], [0.0], [0.0], [0.0]])).flatten().tolist()   # T=4, N=1
        [0.0, 0.0, 1.0, 0.0]
    """

    def __init__(
        self,
        tau: float = 2.0,
        v_c: float = 0.8,
        a0: float = 1.0,
        v_threshold: float | Tensor = 1.0,
        v_rest: float = 0.0,
        v_reset: float | None = -0.1,
        surrogate_function: SurrogateFunction | Callable[[Tensor], Tensor] | None = None,
        detach_reset: bool = False,
        step_mode: str = "s",
        backend: str | None = None,
        store_v_seq: bool = False,
    ) -> None:
        super().__init__(
            v_threshold, v_reset, surrogate_function, detach_reset, step_mode, backend, store_v_seq
        )
        owner = type(self).__name__
        self.tau = checked_time_constant(owner, "tau", tau)
        self.v_c = checked_number(owner, "v_c", v_c)
        self.a0 = checked_positive(owner, "a0", a0)
        self.v_rest = checked_number(owner, "v_rest", v_rest)
        if self.v_reset is None:
            return
        if not bool(torch.as_tensor(self.v_threshold > self.v_reset).all()):
            raise ValueError(
                f"{owner}: v_threshold must be greater than v_reset, "
                f"got v_threshold={v_threshold} and v_reset={v_reset}"
            )
        if self.v_rest < self.v_reset:
            raise ValueError(
                f"{owner}: v_rest must not be below v_reset, "
                f"got v_rest={v_rest} and v_reset={v_reset}"
            )

    def charge(self, x: Any, v: Any) -> Any:
        return v + (x + self.a0 * (v - self.v_rest) * (v - self.v_c)) / self.tau

    def extra_repr(self) -> str:
        return (
            f"{super().extra_repr()}, tau={self.tau}, v_c={self.v_c}, a0={self.a0}, "
            f"v_rest={self.v_rest}"
        )
