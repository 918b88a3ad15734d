"""Exponential integrate-and-fire.

    h[t] = v[t-1] + (x[t] + v_rest - v[t-1] + delta_T exp((v[t-1] - theta_rh) / delta_T)) / tau

Above the rheobase threshold theta_rh the exponential takes over; delta_T is its sharpness.
Fire and reset: see `base`.

Source: Fourcaud-Trocme, Hansel, van Vreeswijk, Brunel, "How spike generation mechanisms determine
the neuronal response to fluctuating inputs", Journal of Neuroscience 2003.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from .. import ops
from .._arguments import checked_number, checked_positive, checked_time_constant
from ..surrogate import SurrogateFunction
from .base import BaseNode

__all__ = ["EIFNode"]


class EIFNode(BaseNode):
    """Exponential integrate-and-fire neuron.

    Args:
        tau: membrane time constant in steps, greater than 1.
        delta_T: width of the onset of a spike, greater than 0.
        theta_rh: potential at which the exponential current equals `delta_T`.
        v_rest: resting potential of the leak.
        v_threshold, v_reset, surrogate_function, detach_reset, step_mode, backend, store_v_seq:
            see :class:`BaseNode`.

    Example:
        >>> import torch
        >>> node = EIFNode(v_threshold=2.0, step_mode="m")
        >>> node(torch.tensor([[2.5], [0.0], [0.0], [0.0]])).flatten().tolist()   # T=4, N=1
        [0.0, 0.0, 0.0, 1.0]
    """

    def __init__(
        self,
        tau: float = 2.0,
        delta_T: float = 1.0,
        theta_rh: float = 0.8,
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
        self.delta_T = checked_positive(owner, "delta_T", delta_T)
        self.theta_rh = checked_number(owner, "theta_rh", theta_rh)
        self.v_rest = checked_number(owner, "v_rest", v_rest)

    def charge(self, x: Any, v: Any) -> Any:
        onset = self.delta_T * ops.exp((v - self.theta_rh) / self.delta_T)
        return v + (x + self.v_rest - v + onset) / self.tau

    def extra_repr(self) -> str:
        return (
            f"{super().extra_repr()}, tau={self.tau}, delta_T={self.delta_T}, "
            f"theta_rh={self.theta_rh}, v_rest={self.v_rest}"
        )
