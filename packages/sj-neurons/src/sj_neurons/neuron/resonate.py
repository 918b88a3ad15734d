"""Resonate-and-fire: a damped oscillator with a threshold.

    alpha = exp(b dt)
    h[t] = alpha (u[t-1] sin(omega dt) + v[t-1] cos(omega dt))
    u[t] = alpha (u[t-1] cos(omega dt) - v[t-1] sin(omega dt)) + x[t]

The input drives u and reaches the membrane v one step later. Fire and reset act on v: see `base`.

Source: Izhikevich, "Resonate-and-fire neurons", Neural Networks 2001.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, ClassVar

from torch import Tensor

from .._arguments import checked_number, checked_positive
from ..surrogate import SurrogateFunction
from .base import BaseNode

__all__ = ["RAFNode"]


class RAFNode(BaseNode):
    """Resonate-and-fire neuron with the state `v`, `u`.

    Args:
        b: damping per unit of time, negative for an oscillation that dies away.
        omega: angular frequency in radians per unit of time.
        dt: length of a step in units of time, greater than 0.
        v_threshold, v_reset, surrogate_function, detach_reset, step_mode, backend, store_v_seq:
            see :class:`BaseNode`.

    Example:
        >>> import torch
        >>> node = RAFNode(b=-0.1, omega=1.5, step_mode="m")
        >>> pulse = torch.tensor([[1.2], [0.0], [0.0], [0.0]])   # T=4, N=1
        >>> node(pulse).flatten().tolist()
        [0.0, 1.0, 0.0, 0.0]
    """

    states: ClassVar[dict[str, float]] = {"v": 0.0, "u": 0.0}

    def __init__(
        self,
        b: float = -0.2,
        omega: float = 1.0,
        dt: float = 1.0,
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
        owner = type(self).__name__
        self.b = checked_number(owner, "b", b)
        self.omega = checked_number(owner, "omega", omega)
        self.dt = checked_positive(owner, "dt", dt)

    def rotation(self) -> tuple[float, float]:
        """Damped cosine and sine of the angle that one step turns by."""
        alpha, angle = math.exp(self.b * self.dt), self.omega * self.dt
        return alpha * math.cos(angle), alpha * math.sin(angle)

    def charge(self, x: Any, v: Any, u: Any) -> Any:
        cosine, sine = self.rotation()
        return u * sine + v * cosine

    def current(self, x: Any, v: Any, u: Any) -> Any:
        """The driven component `u` after the input `x`."""
        cosine, sine = self.rotation()
        return u * cosine - v * sine + x

    def step(self, x: Any, v: Any, u: Any) -> tuple[Any, Any, Any]:
        h = self.charge(x, v, u)
        spike = self.fire(h)
        return spike, self.voltage_reset(h, spike), self.current(x, v, u)

    def neuronal_charge(self, x: Tensor) -> None:
        v, u = self.v, self.u
        self.v, self.u = self.charge(x, v, u), self.current(x, v, u)

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, b={self.b}, omega={self.omega}, dt={self.dt}"
