"""Complementary LIF: a second, slow trace m deepens the reset of neurons that fired lately.

    h[t]  = v[t-1] - v[t-1] / tau + x[t]
    s[t]  = 1 where h[t] >= v_threshold, else 0
    m[t]  = m[t-1] sigmoid(h[t] / tau) + s[t]
    v[t]  = h[t] - s[t] (v_threshold + sigmoid(m[t]))

With `detach_reset` the s in m and v carries no gradient.

Source: Huang et al., "CLIF: complementary leaky integrate-and-fire neuron for spiking neural
networks", ICML 2024.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from torch import Tensor

from .. import ops
from .._arguments import checked_time_constant
from ..surrogate import Rect, SurrogateFunction
from .base import BaseNode

__all__ = ["ComplementaryLIFNode"]


class ComplementaryLIFNode(BaseNode):
    """Leaky integrate-and-fire neuron with a complementary potential `m`; soft reset.

    Args:
        tau: membrane time constant in steps, greater than 1.
        surrogate_function: see :class:`BaseNode`; a new `Rect(1.0)` if `None`.
        v_threshold, step_mode, backend, store_v_seq, detach_reset: see :class:`BaseNode`.

    Example:
        >>> import torch
        >>> node = ComplementaryLIFNode(step_mode="m")
        >>> node(torch.full((4, 1), 1.2)).flatten().tolist()   # T=4, N=1
        [1.0, 0.0, 1.0, 1.0]
    """

    states: ClassVar[dict[str, float]] = {"v": 0.0, "m": 0.0}

    def __init__(
        self,
        tau: float = 2.0,
        v_threshold: float | Tensor = 1.0,
        surrogate_function: SurrogateFunction | Callable[[Tensor], Tensor] | None = None,
        step_mode: str = "s",
        backend: str | None = None,
        store_v_seq: bool = False,
        detach_reset: bool = False,
    ) -> None:
        super().__init__(
            v_threshold,
            None,
            Rect(1.0) if surrogate_function is None else surrogate_function,
            detach_reset,
            step_mode,
            backend,
            store_v_seq,
        )
        self.tau = checked_time_constant(type(self).__name__, "tau", tau)

    def charge(self, x: Any, v: Any, m: Any) -> Any:
        return v - v / self.tau + x

    def complement(self, h: Any, m: Any, spike: Any) -> Any:
        """Complementary potential after `spike`."""
        spike = ops.detach(spike) if self.detach_reset else spike
        return m * ops.sigmoid(h / self.tau) + spike

    def complementary_reset(self, h: Any, spike: Any, m: Any) -> Any:
        """Potential after the deepened reset that `spike` causes; `m` already holds this spike."""
        depth = ops.sigmoid(m) * (ops.detach(spike) if self.detach_reset else spike)
        return self.voltage_reset(h, spike) - depth

    def step(self, x: Any, v: Any, m: Any) -> tuple[Any, Any, Any]:
        h = self.charge(x, v, m)
        spike = self.fire(h)
        m = self.complement(h, m, spike)
        return spike, self.complementary_reset(h, spike, m), m

    def neuronal_charge(self, x: Tensor) -> None:
        self.v = self.charge(x, self.v, self.m)

    def neuronal_reset(self, spike: Tensor) -> None:
        self.m = self.complement(self.v, self.m, spike)
        self.v = self.complementary_reset(self.v, spike, self.m)

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, tau={self.tau}"
