"""The small convolutional SNN of the Fashion-MNIST example.

    image, repeated T times -> [conv, norm, IF, pool] x 2 -> linear, IF -> linear, IF -> rate

The first conv-norm-IF group turns grey values into spikes (direct encoding).
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
from .transformer_parts import TimeAxis

__all__ = ["CSNN"]


class CSNN(SpikingClassifier):
    """Convolutional SNN with direct encoding; an image `[N, C, H, W]` gives `[N, classes]`.

    Sequences `[T, N, C, H, W]` pass as they are. Step mode 'm' only.

    Args:
        T: time steps.
        channels: channels of both convolutions.
        use_cupy: run the neurons on the `cupy` backend.
        in_channels: channels of the image.
        image_size: height and width of the image in pixels, at least 4.
        num_classes: neurons of the last layer.
        output: `'mean'` (firing rates `[N, classes]`), `'steps'` (spikes `[T, N, classes]`) or
            `'last'`.
        spiking_neuron: class, name or config of the neuron; IF with the ATan surrogate if `None`.
        **kwargs: arguments of the neuron.

    Raises:
        TypeError: `kwargs` that the neuron does not take.
        ValueError: an argument out of range, or an input of another shape.
    """

    first_layers, last_layer = ("conv_fc.0", "conv_fc.9"), "conv_fc.11"

    def __init__(
        self,
        T: int = 4,
        channels: int = 128,
        use_cupy: bool = False,
        *,
        in_channels: int = 1,
        image_size: int = 28,
        num_classes: int = 10,
        output: Output = "mean",
        spiking_neuron: NeuronSpec | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(output)
        positive("CSNN", T=T, channels=channels, in_channels=in_channels, num_classes=num_classes)
        positive("CSNN", image_size=image_size)
        if image_size < 4:
            raise ValueError(f"CSNN: image_size must be at least 4, got {image_size}")
        self.T = T
        self.time_axis = TimeAxis(T, in_channels, (image_size, image_size))
        neuron = NeuronFactory(type(self), spiking_neuron or IFNode, kwargs)
        neuron = neuron.with_defaults(surrogate_function=ATan())
        features = channels * (image_size // 4) ** 2
        self.conv_fc = nn.Sequential(
            *_conv_block(in_channels, channels, neuron),
            *_conv_block(channels, channels, neuron),
            layer.Flatten(),
            layer.Linear(features, channels * 4 * 4, bias=False),
            neuron(),
            layer.Linear(channels * 4 * 4, num_classes, bias=False),
            neuron(),
        )
        functional.set_step_mode(self, "m")
        if use_cupy:
            functional.set_backend(self, "cupy", strict=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.read(self.conv_fc(self.time_axis(x)), self.time_axis)

    def spiking_encoder(self) -> nn.Sequential:
        """The layers that turn an image sequence `[T, N, C, H, W]` into spikes."""
        return nn.Sequential(*list(self.conv_fc)[:3])


def _conv_block(
    in_channels: int, out_channels: int, neuron: NeuronFactory
) -> tuple[nn.Module, ...]:
    return (
        layer.Conv2d(in_channels, out_channels, kernel_size=3, padding=1, bias=False),
        layer.BatchNorm2d(out_channels),
        neuron(),
        layer.MaxPool2d(2, 2),
    )
