"""Parametric leaky integrate-and-fire: a LIF that learns its time constant.

    1 / tau = sigmoid(w), w a scalar parameter that starts at -log(init_tau - 1)

Charge as in `lif`; fire and reset as in `base`.

Source: Fang et al., "Incorporating learnable membrane time constant to enhance learning of spiking
neural networks", ICCV 2021.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from .. import ops
from .._arguments import checked_time_constant
from ..surrogate import SurrogateFunction
from .base import BaseNode
from .lif import distance_to_rest

__all__ = ["ParametricLIFNode"]


class ParametricLIFNode(BaseNode):
    """Leaky integrate-and-fire neuron with a learnable time constant.

    Args:
        init_tau: time constant before training, in steps, greater than 1.
        decay_input: whether the input is divided by tau like the leak.
        v_threshold, v_reset, surrogate_function, detach_reset, step_mode, backend, store_v_seq:
            see :class:`BaseNode`.
    """

    def __init__(
        self,
        init_tau: float = 2.0,
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
        tau = checked_time_constant(type(self).__name__, "init_tau", init_tau)
        self.decay_input = decay_input
        self.w = nn.Parameter(torch.tensor(-math.log(tau - 1.0)))

    @property
    def tau(self) -> float:
        """The present time constant in steps."""
        return 1.0 / self.w.detach().sigmoid().item()

    def charge(self, x: Any, v: Any) -> Any:
        rate = ops.sigmoid(self.w)
        leak = distance_to_rest(v, self.v_reset)
        if self.decay_input:
            return v + (x - leak) * rate
        return v - leak * rate + x

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, tau={self.tau}"
