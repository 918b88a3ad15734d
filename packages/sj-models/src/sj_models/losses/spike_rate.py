"""Keep the firing rates of a net near a target.

    loss = weight / L sum_layers (rate_l - target)^2

A rate near 0 leaves a layer without gradient, a high one costs energy.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from ..firing_rates import FiringRates

__all__ = ["SpikeRateLoss"]


class SpikeRateLoss(nn.Module):
    """Mean squared distance of layers' firing rates from a target; add it as `loss_rate`.

    Args:
        target: wanted rate in spikes per step and neuron, 0 or more.
        weight: factor of the result.

    Raises:
        ValueError: a negative target, or no rates.

    Example:
        >>> import torch
        >>> from sj_neurons import neuron
        >>> net = nn.Sequential(nn.Linear(3, 2), neuron.IFNode(step_mode="m"))
        >>> rate_loss = SpikeRateLoss(target=0.1, weight=0.5)
        >>> with rate_loss.watch(net) as rates:
        ...     score = net(torch.ones(4, 1, 3))   # T=4, N=1
        >>> rate_loss(rates.of_layers()).requires_grad
        True
    """

    def __init__(self, target: float = 0.1, weight: float = 1.0) -> None:
        super().__init__()
        if target < 0:
            raise ValueError(f"SpikeRateLoss: target must be 0 or more spikes, got {target}")
        self.target = target
        self.weight = weight

    @staticmethod
    def watch(net: nn.Module) -> FiringRates:
        """A context in which the rates of `net` are recorded with their graph."""
        return FiringRates(net, detach=False)

    def forward(self, rates: Mapping[str, Tensor] | Iterable[Tensor]) -> Tensor:
        """Loss of the rates of layers, 0-d each."""
        values = list(rates.values() if isinstance(rates, Mapping) else rates)
        if not values:
            raise ValueError("SpikeRateLoss: no rates; run the net inside watch(net)")
        return self.weight * (torch.stack(values) - self.target).square().mean()

    def extra_repr(self) -> str:
        return f"target={self.target}, weight={self.weight}"
