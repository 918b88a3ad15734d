"""Spiking VGG: VGG with a neuron in place of each ReLU.

    features     [conv 3x3, (norm), neuron] and max-pools
    head         average pool 7x7, linear, neuron, dropout, linear, neuron, dropout, linear

`[T, N, C, H, W] -> [T, N, classes]` in step mode 'm', `[N, C, H, W] -> [N, classes]` in 's'.
Names and order of the parameters equal those of torchvision's VGGs, so their weights load.

Source: Simonyan, Zisserman, "Very deep convolutional networks for large-scale image recognition",
ICLR 2015.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from torch import Tensor, nn

import sj_layers as layer

from .classifier import SpikingClassifier, is_size, make, positive, show_arguments
from .construction import blank, kaiming_normal
from .neurons import NeuronFactory, NeuronSpec
from .output import Output
from .resnet_parts import NormLayer
from .weights import Weights

__all__ = [
    "SpikingVGG",
    "spiking_vgg11",
    "spiking_vgg11_bn",
    "spiking_vgg13",
    "spiking_vgg13_bn",
    "spiking_vgg16",
    "spiking_vgg16_bn",
    "spiking_vgg19",
    "spiking_vgg19_bn",
]

Plan = Sequence[int | str]  # channels of a convolution, or 'M' for a max-pool

# convolutions before each of the five max-pools
_DEPTHS = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}


class SpikingVGG(SpikingClassifier):
    """VGG with spiking neurons.

    Args:
        cfg: channels of each convolution, with `'M'` for a max-pool.
        batch_norm: put a norm behind each convolution.
        norm_layer: makes the norm for a number of channels; step-mode BatchNorm2d by default.
        num_classes: outputs of the last layer.
        init_weights: fill the weights as VGG does (Kaiming; N(0, 0.01) for linear layers) instead
            of by torch's defaults.
        spiking_neuron: class, name or config of the neuron, made once for each site.
        in_channels: channels of the input; 2 for event frames.
        small_images: average over all places instead of 7x7, for images of some 32 pixels.
        output: `'steps'` (all time steps), `'mean'` over time or the `'last'` step.
        **kwargs: arguments of the neuron.

    Raises:
        TypeError: no neuron given, or `kwargs` that it does not take.
        ValueError: a plan with anything else, a size out of range, an unknown `output`, or
            `'mean'`/`'last'` in step mode 's'.
    """

    first_layers = ("features.0", "classifier.0")
    last_layer = "classifier.6"

    def __init__(
        self,
        cfg: Plan,
        batch_norm: bool = False,
        norm_layer: NormLayer | None = None,
        num_classes: int = 1000,
        init_weights: bool = True,
        spiking_neuron: NeuronSpec | None = None,
        *,
        in_channels: int = 3,
        small_images: bool = False,
        output: Output = "steps",
        **kwargs: Any,
    ) -> None:
        super().__init__(output)
        positive("SpikingVGG", num_classes=num_classes, in_channels=in_channels)
        neuron = NeuronFactory(type(self), spiking_neuron, kwargs)
        norm = (norm_layer or layer.BatchNorm2d) if batch_norm else None
        width = last_width("SpikingVGG", cfg, pools="M")
        fresh = _Fresh(filled_later=init_weights)
        self.features = nn.Sequential(*_features(cfg, in_channels, norm, neuron, fresh))
        places = 1 if small_images else 7
        self.avgpool = layer.AdaptiveAvgPool2d((places, places))
        self.classifier = nn.Sequential(
            fresh(layer.Linear, width * places**2, 4096),
            neuron(),
            layer.Dropout(0.5),
            fresh(layer.Linear, 4096, 4096),
            neuron(),
            layer.Dropout(0.5),
            fresh(layer.Linear, 4096, num_classes),
        )
        if init_weights:
            kaiming_normal(self, linear_std=0.01)

    def forward(self, x: Tensor) -> Tensor:
        x = self.flat(self.avgpool(self.features(x)), self.avgpool)
        return self.read(self.classifier(x), self.avgpool)


def last_width(owner: str, plan: Plan, pools: str) -> int:
    """Channels of a plan's last convolution.

    Raises:
        ValueError: no convolution, or anything but numbers of channels and letters of pools.
    """
    if not isinstance(plan, Sequence) or isinstance(plan, str):
        raise ValueError(f"{owner}: cfg must be a list of channels and pools, got {plan!r}")
    for item in plan:
        if not is_size(item) and item not in tuple(pools):
            raise ValueError(
                f"{owner}: cfg holds numbers of channels and {' or '.join(map(repr, pools))} for a "
                f"pool, got {item!r}"
            )
    widths = [int(item) for item in plan if is_size(item)]
    if not widths:
        raise ValueError(f"{owner}: cfg needs at least one convolution, got {list(plan)}")
    return widths[-1]


class _Fresh:
    """Makes layers, without values if they are all filled later."""

    def __init__(self, filled_later: bool) -> None:
        self.filled_later = filled_later

    def __call__(self, cls: Callable[..., nn.Module], *args: Any, **kwargs: Any) -> nn.Module:
        return blank(cls, *args, **kwargs) if self.filled_later else cls(*args, **kwargs)


def _features(
    plan: Plan, channels: int, norm: NormLayer | None, neuron: NeuronFactory, fresh: _Fresh
) -> Iterator[nn.Module]:
    for item in plan:
        if item == "M":
            yield layer.MaxPool2d(kernel_size=2, stride=2)
            continue
        width = int(item)
        yield fresh(layer.Conv2d, channels, width, kernel_size=3, padding=1)
        if norm is not None:
            yield norm(width)
        yield neuron()
        channels = width


def plan_of(depth: int) -> list[int | str]:
    """Channels of the convolutions of a VGG with so many layers, and its max-pools."""
    plan: list[int | str] = []
    for channels, convolutions in zip((64, 128, 256, 512, 512), _DEPTHS[depth], strict=True):
        plan += [*[channels] * convolutions, "M"]
    return plan


_DOC = """Spiking twin of torchvision's `{name}`.

    Args:
        pretrained: load the ANN's ImageNet weights (downloaded once, checked by hash).
        progress: show a bar during the download.
        spiking_neuron: class, name or config of the neuron, made once for each site.
        weights: URL, file, state dict or torchvision's enum, of an ANN or a spiking twin.
        strict: refuse weights that lack keys or have others.
        **kwargs: arguments of :class:`SpikingVGG`; all others go to the neuron.
    """


def _plain(depth: int) -> Callable[..., SpikingVGG]:
    name = f"vgg{depth}"

    def build(
        pretrained: bool = False,
        progress: bool = True,
        spiking_neuron: NeuronSpec | None = None,
        *,
        weights: Weights | None = None,
        strict: bool = True,
        **kwargs: Any,
    ) -> SpikingVGG:
        arguments = {"cfg": plan_of(depth), "spiking_neuron": spiking_neuron, **kwargs}
        source = {"pretrained": pretrained, "weights": weights, "strict": strict}
        return make(SpikingVGG, arguments, name=name, progress=progress, **source)

    hidden = ("cfg", "batch_norm", "norm_layer")
    show_arguments(build, f"spiking_{name}", SpikingVGG, hidden, _DOC.format(name=name))
    return build


def _normalised(depth: int) -> Callable[..., SpikingVGG]:
    name = f"vgg{depth}_bn"

    def build(
        pretrained: bool = False,
        progress: bool = True,
        norm_layer: NormLayer | None = None,
        spiking_neuron: NeuronSpec | None = None,
        *,
        weights: Weights | None = None,
        strict: bool = True,
        **kwargs: Any,
    ) -> SpikingVGG:
        arguments = {"cfg": plan_of(depth), "batch_norm": True, "norm_layer": norm_layer}
        arguments |= {"spiking_neuron": spiking_neuron, **kwargs}
        source = {"pretrained": pretrained, "weights": weights, "strict": strict}
        return make(SpikingVGG, arguments, name=name, progress=progress, **source)

    hidden = ("cfg", "batch_norm")
    show_arguments(build, f"spiking_{name}", SpikingVGG, hidden, _DOC.format(name=name))
    return build


spiking_vgg11 = _plain(11)
spiking_vgg13 = _plain(13)
spiking_vgg16 = _plain(16)
spiking_vgg19 = _plain(19)
spiking_vgg11_bn = _normalised(11)
spiking_vgg13_bn = _normalised(13)
spiking_vgg16_bn = _normalised(16)
spiking_vgg19_bn = _normalised(19)
