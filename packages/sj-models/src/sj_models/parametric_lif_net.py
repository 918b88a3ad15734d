"""The networks of the parametric-LIF paper, one per data set.

    CBS = conv 3x3 without bias, norm, neuron      MP = max-pool 2x2

    MNIST, Fashion-MNIST, N-MNIST   [CBS, MP] x 2, dropout, linear 2048, neuron, ...
    CIFAR-10                        [[CBS] x 3, MP] x 2, dropout, linear 2048, neuron, ...
    CIFAR10-DVS                     [CBS, MP] x 4, dropout, linear 512, neuron, ...
    DVS128 Gesture                  [CBS, MP] x 5, dropout, linear 512, neuron, ...
    ... dropout, linear 10 K, neuron, mean of each 10 units

`[T, N, C, H, W] -> [T, N, K]` in step mode 'm', `[N, C, H, W] -> [N, K]` in 's'. The last neurons
vote, so an output is the share of a class's ten neurons that fired in the step.

Source: Fang, Yu, Chen, Masquelier, Huang, Tian, "Incorporating learnable membrane time constant to
enhance learning of spiking neural networks", ICCV 2021.
"""

from __future__ import annotations

from typing import Any, ClassVar

from torch import Tensor, fx, nn

import sj_layers as layer

from .classifier import SpikingClassifier, positive
from .neurons import NeuronFactory, NeuronSpec
from .output import Output

__all__ = [
    "CIFAR10DVSNet",
    "CIFAR10Net",
    "DVSGestureNet",
    "FashionMNISTNet",
    "MNISTNet",
    "NMNISTNet",
    "VotingNet",
]

_VOTERS = 10  # neurons per class


class VotingNet(SpikingClassifier):
    """`conv_fc`: convolutions with pooling, two linear layers, a vote of ten neurons per class.

    Args:
        channels: channels of each convolution; the paper's if `None`.
        spiking_neuron: class, name or config of the neuron, made once for each site.
        in_channels: channels of the input; those of the data set if `None`.
        num_classes: classes, each with ten voting neurons; those of the data set if `None`.
        output: `'steps'` (all time steps), `'mean'` over time or the `'last'` step.
        **kwargs: arguments of the neuron.

    Raises:
        TypeError: no neuron given, or `kwargs` that it does not take.
        ValueError: a size out of range, an unknown `output`, `'mean'`/`'last'` in step mode 's', or
            images of another size.
    """

    default_channels: ClassVar[int] = 128
    default_in_channels: ClassVar[int] = 2
    default_classes: ClassVar[int] = 10
    convolutions: ClassVar[tuple[int, ...]]  # before each max-pool
    side: ClassVar[int]  # height and width of the last maps
    hidden: ClassVar[int] = 2048  # units of the first linear layer
    first_layers = ("conv_fc.0",)

    def __init__(
        self,
        channels: int | None = None,
        spiking_neuron: NeuronSpec | None = None,
        *,
        in_channels: int | None = None,
        num_classes: int | None = None,
        output: Output = "steps",
        **kwargs: Any,
    ) -> None:
        super().__init__(output)
        owner = type(self).__name__
        channels = self.default_channels if channels is None else channels
        in_channels = self.default_in_channels if in_channels is None else in_channels
        num_classes = self.default_classes if num_classes is None else num_classes
        positive(owner, channels=channels, in_channels=in_channels, num_classes=num_classes)
        neuron = NeuronFactory(type(self), spiking_neuron, kwargs)
        parts: list[nn.Module] = []
        for count in self.convolutions:
            for _ in range(count):
                conv = layer.Conv2d(in_channels, channels, kernel_size=3, padding=1, bias=False)
                parts += [conv, layer.BatchNorm2d(channels), neuron()]
                in_channels = channels
            parts.append(layer.MaxPool2d(2, 2))
        self.conv_fc = nn.Sequential(
            *parts,
            layer.Flatten(),
            layer.Dropout(0.5),
            layer.Linear(channels * self.side**2, self.hidden),
            neuron(),
            layer.Dropout(0.5),
            layer.Linear(self.hidden, num_classes * _VOTERS),
            neuron(),
            layer.VotingLayer(_VOTERS),
        )

    @property
    def last_layer(self) -> str:  # pyright: ignore[reportIncompatibleVariableOverride]
        return f"conv_fc.{len(self.conv_fc) - 3}"

    def forward(self, x: Tensor) -> Tensor:
        x = _of_side(x, self.side, len(self.convolutions), type(self).__name__)
        return self.read(self.conv_fc(x), self.conv_fc[-1])


@fx.wrap
def _of_side(x: Tensor, side: int, halvings: int, owner: str) -> Tensor:
    """`x`, if its maps have that side after so many poolings."""
    if any(size >> halvings != side for size in x.shape[-2:]):
        pixels = side << halvings
        raise ValueError(
            f"{owner}: expected images of {pixels} x {pixels} pixels, got shape {tuple(x.shape)}"
        )
    return x


class MNISTNet(VotingNet):
    """For MNIST: images of 28x28 pixels, 10 classes, 128 channels; see :class:`VotingNet`."""

    convolutions, side, default_in_channels = (1, 1), 7, 1


class FashionMNISTNet(MNISTNet):
    """For Fashion-MNIST: images of 28x28 pixels, 10 classes, 128 channels."""


class NMNISTNet(VotingNet):
    """For N-MNIST: frames of two polarities, 32 to 35 pixels a side, 10 classes, 128 channels."""

    convolutions, side = (1, 1), 8


class CIFAR10Net(VotingNet):
    """For CIFAR-10: images of 32x32 pixels, 10 classes, 256 channels; see :class:`VotingNet`."""

    convolutions, side, default_channels, default_in_channels = (3, 3), 8, 256, 3


class CIFAR10DVSNet(VotingNet):
    """For CIFAR10-DVS: frames of two polarities, 128x128 pixels, 10 classes, 128 channels."""

    convolutions, side, hidden = (1, 1, 1, 1), 8, 512


class DVSGestureNet(VotingNet):
    """For DVS128 Gesture: frames of two polarities, 128x128 pixels, 11 classes, 128 channels.

    Example:
        >>> import torch
        >>> from sj_neurons import functional
        >>> net = DVSGestureNet(8, spiking_neuron="LIF", detach_reset=True)
        >>> functional.set_step_mode(net, "m")
        >>> net(torch.rand(4, 1, 2, 128, 128)).shape   # T=4, N=1
        torch.Size([4, 1, 11])
    """

    convolutions, side, hidden, default_classes = (1, 1, 1, 1, 1), 4, 512, 11
