"""Synapses with state: they filter or delay the current between a stateless layer and neurons.

    SynapseFilter   out[t] = out[t-1] - (1 - x[t]) out[t-1] / tau + x[t]
    Delay           out[t] = x[t - d], 0 before

A filter in front of rare spikes keeps their current alive; where there is a spike (x = 1) it does
not decay.

Source: Diehl, Cook, "Unsupervised learning of digit recognition using spike-timing-dependent
plasticity", Frontiers in Computational Neuroscience 2015; Fang et al., "Exploiting neuron and
synapse filter dynamics in spatial temporal learning of deep spiking neural network", IJCAI 2020.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from sj_neurons.base import MemoryModule

from .functional import synapse_filter_step

__all__ = ["Delay", "SynapseFilter"]


class SynapseFilter(MemoryModule):
    """A leaky current `out_i` `[N, *]` that jumps with each input spike.

    Args:
        tau: time constant of the decay in steps, greater than 1; the initial one if learnable.
        learnable: whether the time constant is learned, as 1 / tau = sigmoid(w).
        step_mode: `'s'` (`[N, *]`) or `'m'` (`[T, N, *]`).

    Raises:
        ValueError: `tau` is not greater than 1, or an input that does not fit the present current.

    Example:
        >>> import torch
        >>> SynapseFilter(tau=2.0)(torch.ones(1, 1))
        tensor([[1.]])
        >>> SynapseFilter(tau=2.0, step_mode="m")(torch.tensor([[1.0], [0.0], [0.0]])).flatten()
        tensor([1.0000, 0.5000, 0.2500])
    """

    def __init__(self, tau: float = 100.0, learnable: bool = False, step_mode: str = "s") -> None:
        super().__init__()
        if not tau > 1.0:
            raise ValueError(f"SynapseFilter: tau must be greater than 1 step, got {tau}")
        self.learnable = learnable
        if learnable:
            self.w = nn.Parameter(torch.tensor(-math.log(tau - 1.0)))
        else:
            self._tau = float(tau)
        self.register_memory("out_i", 0.0)
        self.step_mode = step_mode

    @property
    def tau(self) -> float:
        """The present time constant in steps."""
        return 1.0 / self.w.detach().sigmoid().item() if self.learnable else self._tau

    def single_step_forward(self, x: Tensor) -> Tensor:
        current = _fitting_current(self.out_i, x)
        self.out_i = synapse_filter_step(x.to(current.dtype), current, self._rate())
        return self.out_i

    def multi_step_forward(self, x_seq: Tensor) -> Tensor:
        if x_seq.dim() == 0 or x_seq.shape[0] == 0:
            raise ValueError(
                "SynapseFilter: expected a sequence [T, N, *] with T > 0, got shape "
                f"{tuple(x_seq.shape)}"
            )
        rate, currents = self._rate(), []
        current = _fitting_current(self.out_i, x_seq[0])
        # unbind, not indexing: the gradient of x[t] is a zero tensor of the size of x for each t
        for x in x_seq.to(current.dtype).unbind(0):
            current = synapse_filter_step(x, current, rate)
            currents.append(current)
        self.out_i = current
        return torch.stack(currents)

    def _rate(self) -> float | Tensor:
        return self.w.sigmoid() if self.learnable else 1.0 / self._tau

    def materialize_states(
        self, inputs: Sequence[Tensor], states: Sequence[Any], step_mode: str | None = None
    ) -> tuple[Any, ...]:
        one_step = inputs[0] if (step_mode or self.step_mode) == "s" else inputs[0][0]
        return (_fitting_current(states[0], one_step),)

    def extra_repr(self) -> str:
        return f"tau={self.tau}, learnable={self.learnable}, step_mode={self.step_mode}"


def _fitting_current(current: Tensor | float, x: Tensor) -> Tensor:
    dtype = x.dtype if x.is_floating_point() else torch.get_default_dtype()
    if not isinstance(current, Tensor):
        return torch.full_like(x, current, dtype=dtype)
    if current.shape != x.shape:
        raise ValueError(
            f"SynapseFilter: input {tuple(x.shape)} does not match the state "
            f"{tuple(current.shape)} of the previous step; call reset() between sequences"
        )
    return current.to(device=x.device, dtype=dtype)


class Delay(MemoryModule):
    """Hands its input on `delay_steps` steps later, and zeros until then.

    The inputs under way are in the memory `queue`: `[]` after a reset, then `[delay_steps, N, *]`,
    the oldest first, with zeros for the steps before the first. They carry over from call to call
    in both step modes, so that a sequence may be fed in pieces; what is under way at its end is
    lost.

    Args:
        delay_steps: 0 or more.
        step_mode: `'s'` (`[N, *]`) or `'m'` (`[T, N, *]`).

    Raises:
        ValueError: `delay_steps` is negative, or an input that does not fit those under way.

    Example:
        >>> import torch
        >>> Delay(2, step_mode="m")(torch.tensor([[1.0], [2.0], [3.0]])).flatten()
        tensor([0., 0., 1.])
    """

    def __init__(self, delay_steps: int, step_mode: str = "s") -> None:
        super().__init__()
        if isinstance(delay_steps, bool) or not isinstance(delay_steps, int):
            raise TypeError(f"Delay: delay_steps must be a whole number, got {delay_steps!r}")
        if delay_steps < 0:
            raise ValueError(f"Delay: delay_steps must be 0 or more, got {delay_steps}")
        self._delay_steps = delay_steps
        self.register_memory("queue", [])
        self.step_mode = step_mode

    @property
    def delay_steps(self) -> int:
        """How many steps later an input comes out; fixed at construction."""
        return self._delay_steps

    def single_step_forward(self, x: Tensor) -> Tensor:
        return self.multi_step_forward(x.unsqueeze(0)).squeeze(0)

    def multi_step_forward(self, x_seq: Tensor) -> Tensor:
        if x_seq.dim() < 2 or x_seq.shape[0] == 0:
            raise ValueError(
                f"Delay: expected a sequence [T, N, *] with T > 0, got shape {tuple(x_seq.shape)}"
            )
        steps, d = x_seq.shape[0], self.delay_steps
        if isinstance(self.queue, Tensor):
            under_way = [self._fitting(self.queue, x_seq).flatten(0, 1)]
        else:
            under_way = [torch.zeros_like(x_seq[0])] * d
        # joined with time in the batch, where torch keeps channels_last
        joined = torch.cat([*under_way, x_seq.flatten(0, 1)])
        y_seq = joined.unflatten(0, (d + steps, x_seq.shape[1]))
        # a view would hold the whole sequence in memory
        self.queue = y_seq[steps:] if steps == 1 else y_seq[steps:].clone()
        return y_seq[:steps]

    @staticmethod
    def _fitting(queue: Tensor, x_seq: Tensor) -> Tensor:
        if queue.shape[1:] != x_seq.shape[1:]:
            raise ValueError(
                f"Delay: input {tuple(x_seq.shape[1:])} does not match the state "
                f"{tuple(queue.shape[1:])} of the previous step; call reset() between sequences"
            )
        return queue.to(x_seq)

    def extra_repr(self) -> str:
        return f"delay_steps={self.delay_steps}, step_mode={self.step_mode}"
