"""Current-based leaky integrate-and-fire: a leaky synapse in front of a leaky membrane.

c[t] = c_decay c[t-1] + x[t]
h[t] = v_decay v[t-1] + c[t]                 Fire and reset: see `base`.

Source: Davies et al., "Loihi: a neuromorphic manycore processor with on-chip learning", IEEE
Micro 2018.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from torch import Tensor

from .._arguments import checked_number
from ..surrogate import Rect, SurrogateFunction
from .base import BaseNode

__all__ = ["CUBALIFNode"]


class CUBALIFNode(BaseNode):
    """Leaky integrate-and-fire neuron driven by a leaky synaptic current `c`.

    Args:
        c_decay: factor by which the current decays per step.
        v_decay: factor by which the membrane potential decays per step.
        surrogate_function: see :class:`BaseNode`; a new `Rect()` if `None`.
        v_threshold, v_reset, detach_reset, step_mode, backend, store_v_seq:
            see :class:`BaseNode`.

    Example:
        >>> import torch
        >>> node = CUBALIFNode(step_mode="m")
        >>> node(torch.tensor([[0.4], [0.0], [0.0]])).flatten().tolist()   # T=3, N=1
        [0.0, 1.0, 0.0]
    """

    states: ClassVar[dict[str, float]] = {"v": 0.0, "c": 0.0}

    def __init__(
        self,
        c_decay: float = 0.5,
        v_decay: float = 0.75,
        v_threshold: float | Tensor = 0.5,
        v_reset: float | None = 0.0,
        surrogate_function: SurrogateFunction | Callable[[Tensor], Tensor] | None = None,
        detach_reset: bool = False,
        step_mode: str = "s",
        backend: str | None = None,
        store_v_seq: bool = False,
    ) -> None:
        super().__init__(
            v_threshold,
            v_reset,
            Rect() if surrogate_function is None else surrogate_function,
            detach_reset,
            step_mode,
            backend,
            store_v_seq,
        )
        self.c_decay = checked_number(type(self).__name__, "c_decay", c_decay)
        self.v_decay = checked_number(type(self).__name__, "v_decay", v_decay)

    def current(self, x: Any, c: Any) -> Any:
        """Synaptic current after the input `x`."""
        return self.c_decay * c + x

    def charge(self, x: Any, v: Any, c: Any) -> Any:
        """Charged potential; `c` is the current of this step, which already holds `x`."""
        return self.v_decay * v + c

    def step(self, x: Any, v: Any, c: Any) -> tuple[Any, Any, Any]:
        c = self.current(x, c)
        h = self.charge(x, v, c)
        spike = self.fire(h)
        return spike, self.voltage_reset(h, spike), c

    def neuronal_charge(self, x: Tensor) -> None:
        self.c = self.current(x, self.c)
        self.v = self.charge(x, self.v, self.c)

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, c_decay={self.c_decay}, v_decay={self.v_decay}"
