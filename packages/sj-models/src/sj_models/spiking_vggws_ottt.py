"""Spiking VGGs for online training through time (OTTT), with standardised weights or without.

    features     [conv 3x3, neuron, (scale), (dropout)] and pools
    head         average pool; linear, neuron, scale, dropout, twice; linear
    light head   average over all places, linear

`[N, C, H, W] -> [N, classes]` for one time step, in step mode 's' only: OTTT learns at every step,
with traces of the spikes instead of a graph through time. Standardised weights (WS) take the place
of norms, and the factor 2.74 restores the variance that spikes lose.

Source: Xiao, Meng, Zhang, He, Lin, "Online training through time for spiking neural networks",
NeurIPS 2022.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar

from torch import Tensor, nn

import sj_layers as layer
from sj_neurons.neuron import OTTTLIFNode

from .classifier import positive
from .construction import kaiming_normal
from .neurons import NeuronFactory, NeuronSpec
from .spiking_vgg import last_width, plan_of
from .transformer_parts import sized

__all__ = [
    "OTTTSpikingVGG",
    "ottt_spiking_vgg11",
    "ottt_spiking_vgg11_ws",
    "ottt_spiking_vgg13",
    "ottt_spiking_vgg13_ws",
    "ottt_spiking_vgg16",
    "ottt_spiking_vgg16_ws",
    "ottt_spiking_vgg19",
    "ottt_spiking_vgg19_ws",
    "ottt_spiking_vggws",
]

_WS_SCALE = 2.74
_POOLS: dict[Any, Callable[..., nn.Module]] = {"M": layer.MaxPool2d, "A": layer.AvgPool2d}


class Scale(nn.Module):
    """Multiplies by a constant."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        return x * self.factor

    def extra_repr(self) -> str:
        return f"{self.factor}"


class OTTTSpikingVGG(nn.Module):
    """VGG trained online; step mode 's' only.

    Args:
        cfg: channels of each convolution, with `'M'` for a max-pool and `'A'` for an average pool.
        weight_standardization: standardise the weights of all layers but the last.
        num_classes: outputs of the last layer.
        init_weights: fill the weights as VGG does instead of by torch's defaults.
        spiking_neuron: class, name or config of the neuron; OTTTLIFNode if `None`.
        light_classifier: one linear layer behind an average over all places, instead of three.
        drop_rate: share of spikes dropped behind each neuron of the features.
        in_channels: channels of the input; 2 for event frames.
        **kwargs: arguments of the neuron.

    Raises:
        TypeError: `kwargs` that the neuron does not take.
        ValueError: a plan with anything else, or a size out of range.

    Example:
        >>> import torch
        >>> net = OTTTSpikingVGG([8, "A", 16], num_classes=3)
        >>> for x in torch.rand(4, 2, 3, 16, 16):   # T=4, N=2: each step has its own backward pass
        ...     net(x).sum().backward()
    """

    first_layers: ClassVar[tuple[str, ...]] = ("features.0",)

    def __init__(
        self,
        cfg: Sequence[int | str],
        weight_standardization: bool = True,
        num_classes: int = 1000,
        init_weights: bool = True,
        spiking_neuron: NeuronSpec | None = None,
        light_classifier: bool = True,
        drop_rate: float = 0.0,
        *,
        in_channels: int = 3,
        **kwargs: Any,
    ) -> None:
        super().__init__()
        positive("OTTTSpikingVGG", num_classes=num_classes, in_channels=in_channels)
        neuron = NeuronFactory(type(self), spiking_neuron or OTTTLIFNode, kwargs)
        standardised = weight_standardization
        width = last_width("OTTTSpikingVGG", cfg, pools="MA")
        parts = _features(cfg, in_channels, standardised, neuron, drop_rate)
        self.features = layer.OTTTSequential(*parts)
        self.classifier = layer.OTTTSequential(
            *(
                _light_head(width, num_classes)
                if light_classifier
                else _head(width, num_classes, standardised, neuron)
            )
        )
        if init_weights:
            kaiming_normal(self, linear_std=0.01)

    @property
    def last_layer(self) -> str:
        """The layer whose shape depends on the number of classes."""
        return f"classifier.{len(self.classifier) - 1}"

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.features(x))


def _features(
    plan: Sequence[int | str],
    channels: int,
    standardised: bool,
    neuron: NeuronFactory,
    drop_rate: float,
) -> Iterator[nn.Module]:
    conv = layer.WSConv2d if standardised else layer.Conv2d
    for item in plan:
        if item in _POOLS:
            yield _POOLS[item](2, 2)
            continue
        width = int(item)
        yield conv(channels, width, kernel_size=3, padding=1)
        yield neuron()
        if standardised:
            yield Scale(_WS_SCALE)
        if drop_rate > 0:
            yield layer.Dropout(drop_rate)
        channels = width


def _light_head(channels: int, num_classes: int) -> Iterator[nn.Module]:
    yield layer.AdaptiveAvgPool2d((1, 1))
    yield layer.Flatten()
    yield layer.Linear(channels, num_classes)


def _head(
    channels: int, num_classes: int, standardised: bool, neuron: NeuronFactory
) -> Iterator[nn.Module]:
    linear = layer.WSLinear if standardised else layer.Linear
    yield layer.AdaptiveAvgPool2d((7, 7))
    yield layer.Flatten()
    for features in (channels * 49, 4096):
        yield linear(features, 4096)
        yield neuron()
        yield Scale(_WS_SCALE if standardised else 1.0)
        yield layer.Dropout(0.5)
    yield layer.Linear(4096, num_classes)


def _builder(depth: int, standardised: bool) -> Callable[..., OTTTSpikingVGG]:
    name = f"ottt_spiking_vgg{depth}{'_ws' if standardised else ''}"
    summary = f"VGG-{depth} for OTTT{', with standardised weights' if standardised else ''}."
    size = {"cfg": tuple(plan_of(depth)), "light_classifier": False}
    return sized(OTTTSpikingVGG, name, summary, weight_standardization=standardised, **size)


ottt_spiking_vgg11 = _builder(11, False)
ottt_spiking_vgg13 = _builder(13, False)
ottt_spiking_vgg16 = _builder(16, False)
ottt_spiking_vgg19 = _builder(19, False)
ottt_spiking_vgg11_ws = _builder(11, True)
ottt_spiking_vgg13_ws = _builder(13, True)
ottt_spiking_vgg16_ws = _builder(16, True)
ottt_spiking_vgg19_ws = _builder(19, True)
ottt_spiking_vggws = sized(
    OTTTSpikingVGG,
    "ottt_spiking_vggws",
    "The OTTT paper's network for small images, with standardised weights.",
    cfg=(64, 128, "A", 256, 256, "A", 512, 512, "A", 512, 512),
)
