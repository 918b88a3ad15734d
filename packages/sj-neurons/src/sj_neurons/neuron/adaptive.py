"""Neurons with an adaptation current w beside the membrane.

    charge   h[t]  = f(x[t], v[t-1], w[t-1])                     defined by the neuron
    adapt    w'[t] = w[t-1] + (a (h[t] - v_rest) - w[t-1]) / tau_w
    fire     s[t]  = 1 where h[t] >= v_threshold, else 0
    reset    v[t] as in `base`;  w[t] = w'[t] + b s[t]

    Izhikevich   f = v + (x + a0 (v - v_rest) (v - v_c) - w) / tau

With `detach_reset` the s in the reset of v carries no gradient; the jump of w keeps its own.

Source: Izhikevich, "Simple model of spiking neurons", IEEE Transactions on Neural Networks 2003.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from torch import Tensor

from .._arguments import checked_number, checked_positive, checked_time_constant
from ..surrogate import SurrogateFunction
from .base import BaseNode

__all__ = ["AdaptBaseNode", "IzhikevichNode"]


class AdaptBaseNode(BaseNode):
    """A neuron with an adaptation current `w`; subclasses define `charge(x, v, w)`.

    Subclasses written for the imperative hooks may also override `neuronal_adaptation`.

    Args:
        v_rest: resting potential, which the adaptation compares the membrane with.
        w_rest: adaptation current before the first step and after `reset()`.
        tau_w: time constant of the adaptation in steps, greater than 0.
        a: how strongly the adaptation follows the membrane.
        b: what each spike adds to the adaptation.
        v_threshold, v_reset, surrogate_function, detach_reset, step_mode, backend, store_v_seq:
            see :class:`BaseNode`.
    """

    states: ClassVar[dict[str, float]] = {"v": 0.0, "w": 0.0}

    def __init__(
        self,
        v_threshold: float | Tensor = 1.0,
        v_reset: float | None = 0.0,
        v_rest: float = 0.0,
        w_rest: float = 0.0,
        tau_w: float = 2.0,
        a: float = 0.0,
        b: float = 0.0,
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
        self.v_rest = checked_number(owner, "v_rest", v_rest)
        self.w_rest = checked_number(owner, "w_rest", w_rest)
        self.tau_w = checked_positive(owner, "tau_w", tau_w)
        self.a = checked_number(owner, "a", a)
        self.b = checked_number(owner, "b", b)
        self.set_reset_value("w", self.w_rest)
        self.w = self.w_rest

    # the pure step

    def adaptation(self, h: Any, w: Any) -> Any:
        """Adaptation current after following the charged potential `h`."""
        return w + (self.a * (h - self.v_rest) - w) / self.tau_w

    def adaptation_reset(self, w: Any, spike: Any) -> Any:
        """Adaptation current after the jump that `spike` causes."""
        return w + self.b * spike

    def step(self, x: Any, v: Any, w: Any) -> tuple[Any, Any, Any]:
        h = self.charge(x, v, w)
        w = self.adaptation(h, w)
        spike = self.fire(h)
        return spike, self.voltage_reset(h, spike), self.adaptation_reset(w, spike)

    # the imperative hooks

    def neuronal_charge(self, x: Tensor) -> None:
        self.v = self.charge(x, self.v, self.w)

    def neuronal_adaptation(self) -> None:
        """Let `self.w` follow the charged `self.v`."""
        self.w = self.adaptation(self.v, self.w)

    def neuronal_reset(self, spike: Tensor) -> None:
        super().neuronal_reset(spike)
        self.w = self.adaptation_reset(self.w, spike)

    def _hooked_step(self, x: Tensor) -> Tensor:
        self.neuronal_charge(x)
        self.neuronal_adaptation()
        spike = self.neuronal_fire()
        self.neuronal_reset(spike)
        return spike

    def extra_repr(self) -> str:
        return (
            f"{super().extra_repr()}, v_rest={self.v_rest}, w_rest={self.w_rest}, "
            f"tau_w={self.tau_w}, a={self.a}, b={self.b}"
        )


class IzhikevichNode(AdaptBaseNode):
    """Izhikevich neuron: a quadratic membrane with adaptation.

    Args:
        tau: membrane time constant in steps, greater than 1.
        v_c: critical potential above which the membrane excites itself.
        a0: strength of the quadratic term, greater than 0.
        v_rest, w_rest, tau_w, a, b: see :class:`AdaptBaseNode`.
        v_threshold, v_reset, surrogate_function, detach_reset, step_mode, backend, store_v_seq:
            see :class:`BaseNode`.

    Example:
        >>> import torch
        >>> node = IzhikevichNode(b=1.0, step_mode="m")
        >>> node(torch.full((6, 1), 2.0)).flatten().tolist()   # T=6, N=1
        [0.0, 1.0, 0.0, 1.0, 0.0, 0.0]
    """

    def __init__(
        self,
        tau: float = 2.0,
        v_c: float = 0.8,
        a0: float = 1.0,
        v_threshold: float | Tensor = 1.0,
        v_reset: float | None = 0.0,
        v_rest: float = -0.1,
        w_rest: float = 0.0,
        tau_w: float = 2.0,
        a: float = 0.0,
        b: float = 0.0,
        surrogate_function: SurrogateFunction | Callable[[Tensor], Tensor] | None = None,
        detach_reset: bool = False,
        step_mode: str = "s",
        backend: str | None = None,
        store_v_seq: bool = False,
    ) -> None:
        super().__init__(
            v_threshold,
            v_reset,
            v_rest,
            w_rest,
            tau_w,
            a,
            b,
            surrogate_function,
            detach_reset,
            step_mode,
            backend,
            store_v_seq,
        )
        owner = type(self).__name__
        self.tau = checked_time_constant(owner, "tau", tau)
        self.v_c = checked_number(owner, "v_c", v_c)
        self.a0 = checked_positive(owner, "a0", a0)

    def charge(self, x: Any, v: Any, w: Any) -> Any:
        return v + (x + self.a0 * (v - self.v_rest) * (v - self.v_c) - w) / self.tau

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, tau={self.tau}, v_c={self.v_c}, a0={self.a0}"
