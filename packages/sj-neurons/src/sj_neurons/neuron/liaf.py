"""Leaky integrate, analog fire: a LIF that puts out an activation of its potential.

    h[t], s[t], v[t] as in `lif`
    y[t] = act(h[t] - v_threshold)               threshold_related=True
    y[t] = act(h[t])                             threshold_related=False

The spike s only resets the membrane; the output is y, in every step mode.

Source: Wu, Zhang, Lin, Li, Wang, Tang, "LIAF-Net: leaky integrate and analog fire network for
lightweight and efficient spatiotemporal information processing" (2020).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from ..surrogate import SurrogateFunction
from .lif import LIFNode

__all__ = ["LIAFNode"]


class LIAFNode(LIFNode):
    """Leaky integrate-and-fire neuron with an analog output.

    Args:
        act: activation of the output, such as `torch.relu`; any callable or module.
        threshold_related: whether `v_threshold` is taken off before the activation.
        tau, decay_input: see :class:`LIFNode`.
        v_threshold, v_reset, surrogate_function, detach_reset, step_mode, backend, store_v_seq:
            see :class:`BaseNode`.

    Example:
        >>> import torch
        >>> node = LIAFNode(torch.relu, threshold_related=True, step_mode="m")
        >>> node(torch.full((3, 1), 3.0)).flatten().tolist()   # T=3, N=1
        [0.5, 0.5, 0.5]
    """

    def __init__(
        self,
        act: Callable[[Tensor], Tensor],
        threshold_related: bool,
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
        if not callable(act):
            raise TypeError(
                f"{type(self).__name__}: act must be callable, such as torch.relu, got {act!r}"
            )
        self.act = act
        self.threshold_related = threshold_related

    def activation(self, h: Any) -> Any:
        """Output of the charged potential `h`."""
        return self.act(h - self.v_threshold if self.threshold_related else h)

    def step(self, x: Any, v: Any) -> tuple[Any, Any]:
        h = self.charge(x, v)
        return self.activation(h), self.voltage_reset(h, self.fire(h))

    def _hooked_step(self, x: Tensor) -> Tensor:
        self.neuronal_charge(x)
        y = self.activation(self.v)
        self.neuronal_reset(self.neuronal_fire())
        return y

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, threshold_related={self.threshold_related}"
