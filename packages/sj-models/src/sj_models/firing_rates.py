"""Firing rates of the neurons of a net, recorded while it runs.

rate of a layer = spikes / (neurons x time steps x samples)
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sj_neurons.monitor import OutputMonitor
from sj_neurons.neuron import PSN, BaseNode, MaskedPSN, SlidingPSN

__all__ = ["FiringRates"]

_SPIKING = (BaseNode, PSN, MaskedPSN, SlidingPSN)


class FiringRates:
    """Records the mean firing rate of every neuron layer between entering and leaving.

    Negative spikes of ternary neurons count like positive ones. Calls of one layer (time steps in
    step mode `'s'`, several batches) are averaged.

    Args:
        net: the net, a model or any part of one.
        detach: `False` keeps the graph, to build a loss on the rates.

    Raises:
        ValueError: a net without neurons.

    Example:
        >>> import torch
        >>> from sj_neurons import neuron
        >>> net = nn.Sequential(nn.Flatten(), neuron.IFNode(step_mode="m"))
        >>> with FiringRates(net) as rates:
        ...     _ = net(torch.tensor([[1.0, 0.0], [0.0, 0.0]]))   # T=2, N=2
        >>> {name: rate.item() for name, rate in rates.of_layers().items()}
        {'1': 0.25}
    """

    def __init__(self, net: nn.Module, *, detach: bool = True) -> None:
        self.net = net
        self.detach = detach
        self._monitor: OutputMonitor | None = None

    def __enter__(self) -> FiringRates:
        self._monitor = OutputMonitor(
            self.net, _SPIKING, lambda spikes: spikes.abs().mean(), detach=self.detach
        )
        return self

    def __exit__(self, *error: object) -> None:
        if self._monitor is not None:
            self._monitor.remove_hooks()

    def of_layers(self) -> dict[str, Tensor]:
        """Mean rate of every layer that ran, 0-d each, by its name in the net.

        Raises:
            RuntimeError: nothing was recorded yet.
        """
        monitor = self._monitor
        records = {} if monitor is None else {n: monitor[n] for n in monitor.monitored_layers}
        rates = {name: torch.stack(calls).mean() for name, calls in records.items() if calls}
        if not rates:
            raise RuntimeError("no firing rates: run the net inside 'with FiringRates(net) as r:'")
        return rates
