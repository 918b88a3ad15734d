"""Leaky integrate-and-fire neurons for online training: no gradient flows through time.

The step is that of `lif`, with the potential of the previous step held constant:

    h[t] = f(x[t], detach(v[t-1]))

OTTT also keeps a trace of the spikes, from which the next layer computes its weight gradient:

    trace[t] = (1 - 1/tau) trace[t-1] + s[t]          without gradient

The step is run once per call, with the optimizer between the steps, and OTTT returns two values in
training: there is no sequence for a fused kernel to run over.

Source: Xiao et al., "Online training through time for spiking neural networks", NeurIPS 2022
(OTTT); Meng et al., "Towards memory- and time-efficient backpropagation for training spiking
neural networks", ICCV 2023 (SLTT).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from torch import Tensor

from .. import ops
from ..base import SingleStepModule
from ..surrogate import SurrogateFunction
from .lif import LIFNode

__all__ = ["OTTTLIFNode", "SLTTLIFNode"]


class _OnlineLIFNode(SingleStepModule, LIFNode):
    """A LIF neuron whose potential is constant from one step to the next."""

    waivers: ClassVar[dict[str, str]] = {
        "modes": "online training steps through time itself, so there is no mode 'm'",
        "gradcheck": "the gradient through time is left out on purpose",
    }

    @property
    def supported_backends(self) -> tuple[str, ...]:
        return ("torch",)

    def step(self, x: Any, *states: Any) -> tuple[Any, ...]:
        v, *others = states
        return (*super().step(x, ops.detach(v)), *others)

    def _hooked_step(self, x: Tensor) -> Tensor:
        self.v = self.v.detach()
        return super()._hooked_step(x)


class OTTTLIFNode(_OnlineLIFNode):
    """Leaky integrate-and-fire neuron for online training through time; step mode `'s'` only.

    No scalar recurrence: the caller trains between the steps, and needs the trace of each.

    In training a call returns `[spike, trace]`, both `[N, *]`; in evaluation the spike alone, and
    the trace stands still. The memory `trace` starts at 0.

    Args:
        tau: membrane time constant in steps, greater than 1.
        decay_input: whether the input is divided by `tau` like the leak.
        v_threshold, v_reset, surrogate_function, detach_reset, step_mode, backend, store_v_seq:
            see :class:`BaseNode`; `step_mode` can only be `'s'`.
    """

    states: ClassVar[dict[str, float]] = {"v": 0.0, "trace": 0.0}

    def __init__(
        self,
        tau: float = 2.0,
        decay_input: bool = False,
        v_threshold: float | Tensor = 1.0,
        v_reset: float | None = None,
        surrogate_function: SurrogateFunction | Callable[[Tensor], Tensor] | None = None,
        detach_reset: bool = True,
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

    def single_step_forward(self, x: Tensor) -> Any:
        spike = super().single_step_forward(x)
        if not self.training:
            return spike
        self.trace = self.trace.detach() * (1.0 - 1.0 / self.tau) + spike.detach()
        return [spike, self.trace]


class SLTTLIFNode(_OnlineLIFNode):
    """Leaky integrate-and-fire neuron for spatial learning through time; step mode `'s'` only.

    No scalar recurrence: the caller trains between the steps, so there is no sequence to fuse.

    A call returns the spike `[N, *]`; its gradient reaches the present input only.

    Args:
        tau: membrane time constant in steps, greater than 1.
        decay_input: whether the input is divided by `tau` like the leak.
        v_threshold, v_reset, surrogate_function, detach_reset, step_mode, backend, store_v_seq:
            see :class:`BaseNode`; `step_mode` can only be `'s'`.
    """

    def __init__(
        self,
        tau: float = 2.0,
        decay_input: bool = True,
        v_threshold: float | Tensor = 1.0,
        v_reset: float | None = 0.0,
        surrogate_function: SurrogateFunction | Callable[[Tensor], Tensor] | None = None,
        detach_reset: bool = True,
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
