"""Neuron normalisation: one time step as a pure function.

Source: Wu et al., "Direct training for spiking neural networks: faster, larger, better", AAAI 2019.
"""

from __future__ import annotations

from torch import Tensor

__all__ = ["neunorm_step"]


def neunorm_step(
    in_spikes: Tensor, state: Tensor | float, weight: Tensor, momentum: float, input_scale: float
) -> tuple[Tensor, Tensor]:
    """One step of :class:`sj_layers.NeuNorm`: `(output, new state)`.

    new state = momentum * state + input_scale * (sum of the input over channels)
    output = input - weight * new state

    Args:
        in_spikes: `[N, C, H, W]`.
        state: `[N, 1, H, W]`; zeros, or 0.0, at the start.
        weight: `[C, H, W]` or `[1, H, W]`.
        momentum: k of the class.
        input_scale: (1 - k) / C^2 in the class.
    """
    state = momentum * state + input_scale * in_spikes.sum(1, keepdim=True)
    return in_spikes - weight * state, state
