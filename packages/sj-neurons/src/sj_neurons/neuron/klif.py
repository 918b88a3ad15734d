"""LIF with a learnable gain on the charged potential.

    h[t] = relu(k (charge of a LIF))             k a scalar parameter that starts at 1
    fire as in `base`
    reset of h[t] with v_threshold                           scale_reset=False
    reset of h[t] / k, soft: by v_threshold / k              scale_reset=True

Source: Jiang, Zhang, "KLIF: an optimized spiking neuron unit for tuning surrogate gradient slope
and membrane potential" (2023).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from .. import ops
from ..surrogate import SurrogateFunction
from .lif import LIFNode

__all__ = ["KLIFNode"]


class KLIFNode(LIFNode):
    """Leaky integrate-and-fire neuron with a learnable gain `k`.

    Args:
        scale_reset: whether the reset takes place before the gain, that is, on `h / k`.
        tau, decay_input: see :class:`LIFNode`.
        v_threshold, v_reset, surrogate_function, detach_reset, step_mode, backend, store_v_seq:
            see :class:`BaseNode`.
    """

    def __init__(
        self,
        scale_reset: bool = False,
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
            tau,
            decay_input,
            v_threshold,
            v_reset,
            surrogate_function,
            detach_reset,
            step_mode,
            backend,
            store_v_seq,
        )
        self.scale_reset = scale_reset
        self.k = nn.Parameter(torch.tensor(1.0))

    def charge(self, x: Any, v: Any) -> Any:
        h = self.k * super().charge(x, v)
        # written so that NaN stays, and so that the derivative at 0 is 0
        return ops.where(h <= 0.0, 0.0, h)

    def voltage_reset(self, h: Any, spike: Any) -> Any:
        if not self.scale_reset:
            return super().voltage_reset(h, spike)
        if self.v_reset is None:
            return super().voltage_reset(h, spike) / self.k
        return super().voltage_reset(h / self.k, spike)

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, scale_reset={self.scale_reset}"
