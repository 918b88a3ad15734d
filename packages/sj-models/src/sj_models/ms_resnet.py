"""Membrane-shortcut (MS) ResNets: neurons first, and sums of real-valued membrane input.

    block    y = branch(x) + shortcut(x),  branch = neuron, conv, norm, neuron, conv, norm
    Max      a block that halves the maps does it by max-pooling the normalised first convolution
    Att      attention over channels and places ends the branch; shortcuts average before they
             project
    head     neuron, global average pool, linear

Images `[N, C, H, W]` are shown T times; sequences are `[T, N, C, H, W]`. Output `[T, N, classes]`,
or `[N, classes]` with `output='mean'` or `'last'`. Step mode 'm' only.

Sources: Hu, Deng, Wu, Yao, Li, "Advancing spiking neural networks toward deep residual learning",
IEEE TNNLS 2024 (MS-ResNet, arXiv 2112.08954); Yao, Zhao, Zhang, Hu, Deng, Tian, Xu, Li, "Attention
spiking neural networks", IEEE TPAMI 2023 (Att-MS-ResNet); Max-ResNet: arXiv 2505.18608.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, ClassVar

from torch import Tensor, nn

import sj_layers as layer
from sj_neurons import functional, surrogate
from sj_neurons.neuron import LIFNode

from .classifier import SpikingClassifier, all_positive, positive
from .neurons import NeuronFactory, NeuronSpec
from .output import Output
from .transformer_parts import TimeAxis, sized

__all__ = [
    "AttMSResNet",
    "MSResNet",
    "MaxResNet",
    "att_ms_resnet18",
    "max_resnet18",
    "ms_resnet18",
    "ms_resnet34",
]


class MSBlock(nn.Module):
    """Neuron, conv, norm, twice, and a shortcut of membrane input.

    Args:
        cin, cout: channels in and out.
        stride: 2 halves the maps.
        neuron: makes the neurons.
    """

    def __init__(self, cin: int, cout: int, stride: int, neuron: NeuronFactory) -> None:
        super().__init__()
        self.spike1 = neuron()
        self.conv1 = _conv(cin, cout, self.conv_stride(stride))
        self.bn1 = layer.BatchNorm2d(cout)
        self.spike2 = neuron()
        self.conv2 = _conv(cout, cout)
        self.bn2 = layer.BatchNorm2d(cout)
        self.downsample = (
            None if stride == 1 and cin == cout else nn.Sequential(*_project(cin, cout, stride))
        )

    def conv_stride(self, stride: int) -> int:
        """The part of the stride that the first convolution does."""
        return stride

    def branch(self, x: Tensor) -> Tensor:
        y = self.bn1(self.conv1(self.spike1(x)))
        return self.bn2(self.conv2(self.spike2(y)))

    def forward(self, x: Tensor) -> Tensor:
        return self.branch(x) + (x if self.downsample is None else self.downsample(x))


class MaxBlock(MSBlock):
    """Halves the maps by max-pooling what the second neuron is given."""

    def __init__(self, cin: int, cout: int, stride: int, neuron: NeuronFactory) -> None:
        super().__init__(cin, cout, stride, neuron)
        self.max_pool = nn.Identity() if stride == 1 else layer.MaxPool2d(3, stride, padding=1)

    def conv_stride(self, stride: int) -> int:
        return 1

    def branch(self, x: Tensor) -> Tensor:
        y = self.max_pool(self.bn1(self.conv1(self.spike1(x))))
        return self.bn2(self.conv2(self.spike2(y)))


class AttBlock(MSBlock):
    """Attention over channels and places at the end of the branch."""

    def __init__(
        self, cin: int, cout: int, stride: int, neuron: NeuronFactory, reduction: int = 8
    ) -> None:
        super().__init__(cin, cout, stride, neuron)
        if self.downsample is not None and stride > 1:
            pool = layer.AvgPool2d(stride, stride, ceil_mode=True)  # odd maps as the branch does
            self.downsample = nn.Sequential(pool, *_project(cin, cout, 1))
        self.attention = layer.MultiDimensionalAttention(1, cout, 1, reduction)
        self.attention.ta = nn.Identity()  # pyright: ignore[reportAttributeAccessIssue]  # any T

    def branch(self, x: Tensor) -> Tensor:
        return self.attention(super().branch(x))


class MSResNet(SpikingClassifier):
    """MS-ResNet.

    Args:
        T: time steps of an image.
        in_channels: channels of the input; 2 for event frames.
        num_classes: outputs of the last layer.
        layers: blocks in each stage.
        base_channels: channels of the stem, and of the first stage; each stage doubles them.
        stem_kernel_size, stem_stride: of the first convolution.
        stem_pool: put a max-pool 3x3/2 behind the stem.
        stage_channels: channels of each stage, instead of doubling.
        spiking_neuron: class, name or config of the neuron; the paper's LIF if `None`.
        small_images: stem for images of some 32 pixels: conv 3x3/1, no max-pool and no stride in
            the first stage, which stands for it.
        output: `'steps'` (all time steps), `'mean'` over time or the `'last'` step.
        block: makes a block from channels in and out, stride and what makes neurons.
        **kwargs: arguments of the neuron.

    Raises:
        TypeError: `kwargs` that the neuron does not take.
        ValueError: a size out of range, an unknown `output`, or an input that is neither an image
            nor a sequence of images.
    """

    default_neuron: ClassVar[dict[str, Any]] = {
        "tau": 4 / 3,
        "decay_input": False,
        "v_threshold": 0.5,
        "detach_reset": True,
        "surrogate_function": surrogate.Rect(alpha=2.0),
    }
    default_block: ClassVar[type[MSBlock]] = MSBlock
    norm_weights: ClassVar[tuple[float, float]] = 0.5, 0.0  # of all, of the last in a branch
    first_stride: ClassVar[int] = 2
    first_layers, last_layer = ("stem.0",), "head"

    def __init__(
        self,
        T: int = 6,
        in_channels: int = 3,
        num_classes: int = 1000,
        layers: Sequence[int] = (2, 2, 2, 2),
        base_channels: int = 64,
        stem_kernel_size: int = 7,
        stem_stride: int = 2,
        stem_pool: bool = False,
        stage_channels: Sequence[int] | None = None,
        spiking_neuron: NeuronSpec | None = None,
        *,
        small_images: bool = False,
        output: Output = "steps",
        block: Callable[..., MSBlock] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(output)
        owner = type(self).__name__
        if small_images:
            stem_kernel_size, stem_stride, stem_pool = 3, 1, False
        positive(owner, T=T, in_channels=in_channels, num_classes=num_classes)
        positive(owner, base_channels=base_channels, stem_kernel_size=stem_kernel_size)
        positive(owner, stem_stride=stem_stride)
        all_positive(owner, layers=layers)
        widths = stage_channels or [base_channels * 2**stage for stage in range(len(layers))]
        all_positive(owner, len(layers), stage_channels=widths)
        block = block or self.default_block
        neuron = NeuronFactory(
            type(self),
            spiking_neuron or LIFNode,
            kwargs if spiking_neuron else {**self.default_neuron, **kwargs},
        )
        self.time_axis = TimeAxis(T, in_channels)
        size = (stem_kernel_size, stem_stride, stem_kernel_size // 2)
        self.stem = nn.Sequential(
            layer.Conv2d(in_channels, base_channels, *size, bias=False),
            layer.BatchNorm2d(base_channels),
        )
        if stem_pool:
            self.stem.append(layer.MaxPool2d(3, 2, padding=1))
        cin, stride = base_channels, 1 if small_images else self.first_stride
        for index, (count, width) in enumerate(zip(layers, widths, strict=True)):
            stage = nn.Sequential()
            for _ in range(count):
                stage.append(block(cin, width, stride, neuron))
                cin, stride = width, 1
            self.add_module(f"layer{index + 1}", stage)
            stride = 2
        self.stages = len(layers)
        self.head_lif = neuron()
        self.avgpool = layer.AdaptiveAvgPool2d((1, 1))
        self.head = layer.Linear(cin, num_classes)
        self._set_norms()
        functional.set_step_mode(self, "m")

    def _set_norms(self) -> None:
        usual, last = self.norm_weights
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                nn.init.constant_(module.weight, usual)
        for module in self.modules():
            if isinstance(module, MSBlock):
                nn.init.constant_(module.bn2.weight, last)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(self.time_axis(x))
        for index in range(self.stages):
            x = self.get_submodule(f"layer{index + 1}")(x)
        x = self.flat(self.avgpool(self.head_lif(x)), self.avgpool)
        return self.read(self.head(self.last_features(x)), self.avgpool)

    def last_features(self, x: Tensor) -> Tensor:
        """What the last layer is given."""
        return x


class MaxResNet(MSResNet):
    """Max-ResNet; arguments and errors of :class:`MSResNet`."""

    default_neuron: ClassVar[dict[str, Any]] = {"tau": 2.0, "detach_reset": True}
    default_block, norm_weights, first_stride = MaxBlock, (1.0, 1.0), 1


class AttMSResNet(MSResNet):
    """MS-ResNet with attention; arguments and errors of :class:`MSResNet`, and:

    Args:
        reduction_c: factor by which the hidden layer of the attention is smaller than its channels.
        dropout: share of features dropped before the last layer.
    """

    default_neuron: ClassVar[dict[str, Any]] = {
        **MSResNet.default_neuron,
        "surrogate_function": surrogate.Rect(alpha=1.0),
    }
    norm_weights = 0.5, 0.1

    def __init__(
        self,
        T: int = 1,
        in_channels: int = 3,
        num_classes: int = 1000,
        layers: Sequence[int] = (2, 2, 2, 2),
        base_channels: int = 64,
        stem_kernel_size: int = 7,
        stem_stride: int = 2,
        stem_pool: bool = False,
        stage_channels: Sequence[int] | None = None,
        reduction_c: int = 8,
        dropout: float = 0.2,
        spiking_neuron: NeuronSpec | None = None,
        *,
        small_images: bool = False,
        output: Output = "steps",
        block: Callable[..., MSBlock] | None = None,
        **kwargs: Any,
    ) -> None:
        stem = (base_channels, stem_kernel_size, stem_stride, stem_pool, stage_channels)
        super().__init__(
            *(T, in_channels, num_classes, layers, *stem, spiking_neuron),
            small_images=small_images,
            output=output,
            block=block or partial(AttBlock, reduction=reduction_c),
            **kwargs,
        )
        self.dropout = layer.Dropout(dropout, step_mode="m")

    def last_features(self, x: Tensor) -> Tensor:
        return self.dropout(x)


def _conv(cin: int, cout: int, stride: int = 1) -> nn.Module:
    return layer.Conv2d(cin, cout, 3, stride, padding=1, bias=False)


def _project(cin: int, cout: int, stride: int) -> tuple[nn.Module, nn.Module]:
    return layer.Conv2d(cin, cout, 1, stride, bias=False), layer.BatchNorm2d(cout)


ms_resnet18 = sized(MSResNet, "ms_resnet18", "MS-ResNet of 18 layers.")
ms_resnet34 = sized(MSResNet, "ms_resnet34", "MS-ResNet of 34 layers.", layers=(3, 4, 6, 3))
max_resnet18 = sized(
    MaxResNet,
    "max_resnet18",
    "Max-ResNet of 18 layers for images of some 32 pixels.",
    T=4,
    num_classes=10,
    layers=(3, 3, 2),
    stem_kernel_size=3,
    stem_stride=1,
    stage_channels=(128, 256, 512),
)
att_ms_resnet18 = sized(AttMSResNet, "att_ms_resnet18", "MS-ResNet of 18 layers with attention.")
