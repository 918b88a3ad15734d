"""Small networks for images read column by column: a column is one time step.

    plain       linear, IF, linear, IF                          no memory but the neurons'
    synapse     linear, IF, low-pass synapse, linear, IF        synapses that decay
    feedback    linear, IF with feedback, linear, IF            y[t] goes back into x[t+1]

`[T, N, features] -> [N, classes]`, the firing rates; for Fashion-MNIST 28 columns of 28 pixels.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

import sj_layers as layer
from sj_neurons import functional
from sj_neurons.neuron import IFNode
from sj_neurons.surrogate import ATan

from .classifier import SpikingClassifier, positive
from .neurons import NeuronFactory, NeuronSpec
from .output import Output

__all__ = ["FeedBackNet", "PlainNet", "SequentialNet", "StatefulSynapseNet"]


class SequentialNet(SpikingClassifier):
    """Two linear layers with neurons; what stands behind or around the first is the subclass's.

    Args:
        in_features: features of a time step, such as the pixels of a column.
        hidden: units of the first linear layer.
        num_classes: units of the second.
        spiking_neuron: class, name or config of the neuron; IF with the ATan surrogate if `None`.
        output: `'mean'` (firing rates), `'steps'` (spikes `[T, N, classes]`) or `'last'`.
        **kwargs: arguments of the neuron.

    Raises:
        TypeError: `kwargs` that the neuron does not take.
        ValueError: a size out of range or an unknown `output`.

    Example:
        >>> import torch
        >>> PlainNet()(torch.rand(28, 2, 28)).shape   # T=28, N=2
        torch.Size([2, 10])
    """

    first_layers, last_layer = ("fc.0",), "fc.2"

    def __init__(
        self,
        in_features: int = 28,
        hidden: int = 32,
        num_classes: int = 10,
        *,
        spiking_neuron: NeuronSpec | None = None,
        output: Output = "mean",
        **kwargs: Any,
    ) -> None:
        super().__init__(output)
        owner = type(self).__name__
        positive(owner, in_features=in_features, hidden=hidden, num_classes=num_classes)
        neuron = NeuronFactory(type(self), spiking_neuron or IFNode, kwargs)
        neuron = neuron.with_defaults(surrogate_function=ATan())
        self.fc = nn.Sequential(
            layer.Linear(in_features, hidden),
            *self.hidden_part(hidden, neuron),
            layer.Linear(hidden, num_classes),
            neuron(),
        )
        functional.set_step_mode(self, "m")

    @staticmethod
    def hidden_part(units: int, neuron: NeuronFactory) -> tuple[nn.Module, ...]:
        """What stands between the linear layers, from `units` features to as many."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        return self.read(self.fc(x), self.fc[0])


class PlainNet(SequentialNet):
    """Without further memory; see :class:`SequentialNet`."""

    @staticmethod
    def hidden_part(units: int, neuron: NeuronFactory) -> tuple[nn.Module, ...]:
        return (neuron(),)


class StatefulSynapseNet(SequentialNet):
    """A synapse with a learnable time constant follows the neurons; see :class:`SequentialNet`."""

    last_layer = "fc.3"

    @staticmethod
    def hidden_part(units: int, neuron: NeuronFactory) -> tuple[nn.Module, ...]:
        return neuron(), layer.SynapseFilter(tau=2.0, learnable=True)


class FeedBackNet(SequentialNet):
    """Spikes return to their neurons by linear weights; see :class:`SequentialNet`."""

    @staticmethod
    def hidden_part(units: int, neuron: NeuronFactory) -> tuple[nn.Module, ...]:
        neuron = neuron.with_defaults(detach_reset=True)
        return (layer.LinearRecurrentContainer(neuron(), units, units, bias=True),)
