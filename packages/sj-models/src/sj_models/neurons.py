"""Make the neurons of a model from a class and its arguments."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

from torch import nn

__all__ = ["NeuronFactory"]


class NeuronFactory:
    """Makes one neuron per call; no two of them share a surrogate.

    Args:
        model: name of the model, for error messages.
        spiking_neuron: neuron class.
        arguments: its arguments, copied for each neuron.

    Raises:
        TypeError: no neuron class, or (when called) one that does not take the arguments.
    """

    def __init__(
        self,
        model: str,
        spiking_neuron: Callable[..., nn.Module] | None,
        arguments: Mapping[str, Any],
    ) -> None:
        if spiking_neuron is None or not callable(spiking_neuron):
            raise TypeError(
                f"{model}: spiking_neuron must be a neuron class such as "
                f"sj_neurons.neuron.IFNode, got {spiking_neuron!r}"
            )
        self.model = model
        self.spiking_neuron = spiking_neuron
        self.arguments = dict(arguments)

    def __call__(self) -> nn.Module:
        try:
            return self.spiking_neuron(**copy.deepcopy(self.arguments))
        except TypeError as error:
            raise TypeError(f"{self.model}: {error}") from error
