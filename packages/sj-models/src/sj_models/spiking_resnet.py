"""Spiking ResNet: ResNet with a neuron in place of each ReLU, so behind each sum.

    block    y = neuron(branch(x) + shortcut(x))

`[T, N, C, H, W] -> [T, N, classes]` in step mode 'm', `[N, C, H, W] -> [N, classes]` in 's'.
Names and order of the parameters equal those of torchvision's ResNets, so their weights load.

Source: He et al., "Deep residual learning for image recognition", CVPR 2016; with spiking neurons:
Hu, Tang, Pan, "Spiking deep residual networks", 2018.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .classifier import make, show_arguments
from .neurons import NeuronSpec
from .output import Output
from .resnet_parts import VARIANTS, BasicBlock, Bottleneck, NormLayer, ResNet
from .weights import Weights

__all__ = [
    "SpikingResNet",
    "spiking_resnet18",
    "spiking_resnet34",
    "spiking_resnet50",
    "spiking_resnet101",
    "spiking_resnet152",
    "spiking_resnext50_32x4d",
    "spiking_resnext101_32x8d",
    "spiking_wide_resnet50_2",
    "spiking_wide_resnet101_2",
]


class SpikingResNet(ResNet):
    """ResNet with spiking neurons.

    Args:
        block: `BasicBlock` or `Bottleneck`.
        layers: blocks in each of the four stages.
        num_classes: outputs of the last layer.
        zero_init_residual: start each residual branch at 0.
        groups: groups of the 3x3 convolution of a bottleneck.
        width_per_group: channels of each group at 64 planes.
        replace_stride_with_dilation: for stages 2 to 4, whether to dilate instead of stride.
        norm_layer: makes the norm for a number of channels; step-mode BatchNorm2d by default.
        spiking_neuron: class, name or config of the neuron, made once for each site.
        in_channels: channels of the input; 2 for event frames.
        small_images: stem for images of some 32 pixels: conv 3x3/1 and no max-pool.
        output: `'steps'` (all time steps), `'mean'` over time or the `'last'` step.
        **kwargs: arguments of the neuron.

    Raises:
        TypeError: no neuron given, or `kwargs` that it does not take.
        ValueError: a size out of range, an unknown `output`, or `'mean'`/`'last'` in step mode 's'.
    """

    def __init__(
        self,
        block: type[BasicBlock] | type[Bottleneck],
        layers: Sequence[int],
        num_classes: int = 1000,
        zero_init_residual: bool = False,
        groups: int = 1,
        width_per_group: int = 64,
        replace_stride_with_dilation: Sequence[bool] | None = None,
        norm_layer: NormLayer | None = None,
        spiking_neuron: NeuronSpec | None = None,
        *,
        in_channels: int = 3,
        small_images: bool = False,
        output: Output = "steps",
        **kwargs: Any,
    ) -> None:
        if not isinstance(block, type) or not issubclass(block, BasicBlock | Bottleneck):
            raise TypeError(f"SpikingResNet: block must be BasicBlock or Bottleneck, got {block!r}")
        super().__init__(
            block,
            layers,
            num_classes,
            zero_init_residual,
            groups,
            width_per_group,
            replace_stride_with_dilation,
            norm_layer,
            spiking_neuron,
            expansion=block.expansion,
            in_channels=in_channels,
            small_images=small_images,
            output=output,
            neuron=kwargs,
        )


def _builder(name: str) -> Callable[..., SpikingResNet]:
    bottleneck, layers, shape = VARIANTS[name]
    fixed = {"block": Bottleneck if bottleneck else BasicBlock, "layers": layers, **shape}

    def build(
        pretrained: bool = False,
        progress: bool = True,
        spiking_neuron: NeuronSpec | None = None,
        *,
        weights: Weights | None = None,
        strict: bool = True,
        **kwargs: Any,
    ) -> SpikingResNet:
        return make(
            SpikingResNet,
            {**fixed, "spiking_neuron": spiking_neuron, **kwargs},
            name=name,
            pretrained=pretrained,
            progress=progress,
            weights=weights,
            strict=strict,
        )

    doc = f"""Spiking twin of torchvision's `{name}`.

    Args:
        pretrained: load the ANN's ImageNet weights (downloaded once, checked by hash).
        progress: show a bar during the download.
        spiking_neuron: class, name or config of the neuron, made once for each site.
        weights: URL, file, state dict or torchvision's enum, of an ANN or a spiking twin.
        strict: refuse weights that lack keys or have others.
        **kwargs: arguments of :class:`SpikingResNet`; all others go to the neuron.
    """
    show_arguments(build, f"spiking_{name}", SpikingResNet, ("block", "layers"), doc)
    return build


spiking_resnet18 = _builder("resnet18")
spiking_resnet34 = _builder("resnet34")
spiking_resnet50 = _builder("resnet50")
spiking_resnet101 = _builder("resnet101")
spiking_resnet152 = _builder("resnet152")
spiking_resnext50_32x4d = _builder("resnext50_32x4d")
spiking_resnext101_32x8d = _builder("resnext101_32x8d")
spiking_wide_resnet50_2 = _builder("wide_resnet50_2")
spiking_wide_resnet101_2 = _builder("wide_resnet101_2")
