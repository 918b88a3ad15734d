"""Spike firing approximation: train with whole numbers, run with spikes.

    k[t] = round(clamp(h[t], 0, D))           spikes of step t, from an integer LIF neuron
    training     y[t] = a k[t]                               one value per step      [T, N, *]
    inference    y[t, d] = a D  if d < k[t] else 0           d = 0 ... D-1           [T D, N, *]

Both have the same mean over d, so layers that are linear between two neurons give the next neuron
the same input; it takes the mean over its D sub-steps. With a = 1 / D the values lie in [0, 1] and
the spikes are ones.

Sources: Yao et al., "Scaling spike-driven transformer with efficient spike firing approximation
training", IEEE TPAMI 2025; Luo et al., "Integer-valued training and spike-driven inference spiking
neural network for high-performance and energy-efficient object detection", ECCV 2024.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sj_neurons.neuron import ILIFNode
from sj_neurons.surrogate import MultiLevelSpikeCount

__all__ = ["SpikeFiring"]


class SpikeFiring(nn.Module):
    """A neuron that fires up to `levels` spikes per step, as a number or as a train of spikes.

    Set the attribute `spike_driven` for trains, which need step mode `'m'`.

    Args:
        levels: D, the largest number of spikes in a step.
        v_threshold: potential of one spike.
        amplitude: a, the value of one spike; `1 / levels` if `None`.
        tau: membrane time constant in steps; what is left after a step decays to
            `1 - 1 / tau` of it.
        detach_reset: whether the reset is left out of the gradient.
        step_mode: `'s'` or `'m'`.

    Raises:
        TypeError, ValueError: `levels` is not a whole number from 1 on.

    Example:
        >>> node = SpikeFiring(levels=4, step_mode="m")
        >>> node(torch.tensor([[0.2, 1.2, 9.0]])).tolist()   # T=1, N=3
        [[0.0, 0.25, 1.0]]
        >>> node.node.reset()
        >>> node.spike_driven = True
        >>> node(torch.tensor([[0.2, 1.2, 9.0]]).repeat(4, 1)).sum(0).tolist()
        [0.0, 1.0, 4.0]
    """

    def __init__(
        self,
        levels: int = 4,
        v_threshold: float = 1.0,
        amplitude: float | None = None,
        tau: float = 4.0 / 3.0,
        detach_reset: bool = False,
        step_mode: str = "s",
    ) -> None:
        super().__init__()
        count = MultiLevelSpikeCount(levels)
        self.levels = levels
        self.amplitude = 1.0 / levels if amplitude is None else amplitude
        self.spike_driven = False
        self.node = ILIFNode(
            tau, v_threshold, count, detach_reset=detach_reset, step_mode=step_mode
        )

    def forward(self, x: Tensor) -> Tensor:
        counts = self.node(self.collect(x))
        if not self.spike_driven:
            return counts * self.amplitude
        step = torch.arange(self.levels, device=x.device).view(-1, *(1,) * (x.dim() - 1))
        train = (counts.unsqueeze(1) > step).to(x.dtype)
        return train.flatten(0, 1) * (self.amplitude * self.levels)

    def collect(self, x_seq: Tensor) -> Tensor:
        """The mean over the sub-steps of `[T D, N, *]`; what comes in if not `spike_driven`."""
        if not self.spike_driven:
            return x_seq
        return x_seq.unflatten(0, (-1, self.levels)).mean(1)

    def spread(self, x_seq: Tensor) -> Tensor:
        """`[T, N, *]` for each of the sub-steps, `[T D, N, *]`; itself if not `spike_driven`."""
        return x_seq.repeat_interleave(self.levels, 0) if self.spike_driven else x_seq

    def extra_repr(self) -> str:
        return f"levels={self.levels}, amplitude={self.amplitude}, spike_driven={self.spike_driven}"
