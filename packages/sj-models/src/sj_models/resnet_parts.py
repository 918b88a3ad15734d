"""What the spiking ResNets share: blocks, stages, stem and head.

    stem     conv 7x7/2, norm, neuron, max-pool 3x3/2     small images: conv 3x3/1, norm, neuron
    block    residual branch and shortcut, joined as the family says
    head     global average pool, linear

Names and order of the parameters equal those of torchvision's ResNets.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from torch import Tensor, nn

import sj_layers as layer

from .classifier import SpikingClassifier, all_positive, positive
from .construction import blank, kaiming_normal
from .neurons import NeuronFactory, NeuronSpec
from .output import Output

__all__ = [
    "VARIANTS",
    "BasicBlock",
    "Bottleneck",
    "NormLayer",
    "ResNet",
    "ResidualBlock",
    "conv1x1",
    "conv3x3",
]

NormLayer = Callable[[int], nn.Module]

# blocks are bottlenecks or not, blocks per stage, further arguments; by torchvision's name
VARIANTS: dict[str, tuple[bool, tuple[int, int, int, int], dict[str, int]]] = {
    "resnet18": (False, (2, 2, 2, 2), {}),
    "resnet34": (False, (3, 4, 6, 3), {}),
    "resnet50": (True, (3, 4, 6, 3), {}),
    "resnet101": (True, (3, 4, 23, 3), {}),
    "resnet152": (True, (3, 8, 36, 3), {}),
    "resnext50_32x4d": (True, (3, 4, 6, 3), {"groups": 32, "width_per_group": 4}),
    "resnext101_32x8d": (True, (3, 4, 23, 3), {"groups": 32, "width_per_group": 8}),
    "wide_resnet50_2": (True, (3, 4, 6, 3), {"width_per_group": 128}),
    "wide_resnet101_2": (True, (3, 4, 23, 3), {"width_per_group": 128}),
}


def conv3x3(cin: int, cout: int, stride: int = 1, groups: int = 1, dilation: int = 1) -> nn.Module:
    return blank(
        layer.Conv2d,
        *(cin, cout, 3, stride),
        padding=dilation,
        dilation=dilation,
        groups=groups,
        bias=False,
    )


def conv1x1(cin: int, cout: int, stride: int = 1) -> nn.Module:
    return blank(layer.Conv2d, cin, cout, 1, stride, bias=False)


class ResidualBlock(nn.Module):
    """A residual branch and a shortcut; here a neuron follows their sum."""

    expansion: ClassVar[int] = 1
    downsample: nn.Module | None

    def branch(self, x: Tensor) -> Tensor:
        """The residual branch up to its last norm."""
        raise NotImplementedError

    @property
    def last_neuron(self) -> nn.Module:
        """The neuron behind the last norm."""
        raise NotImplementedError

    @property
    def last_norm(self) -> nn.Module:
        """The norm whose weight 0 silences the branch."""
        raise NotImplementedError

    def shortcut(self, x: Tensor) -> Tensor:
        return x if self.downsample is None else self.downsample(x)

    def forward(self, x: Tensor) -> Tensor:
        return self.last_neuron(self.branch(x) + self.shortcut(x))


class BasicBlock(ResidualBlock):
    """Two 3x3 convolutions and a shortcut."""

    def __init__(
        self,
        cin: int,
        planes: int,
        neuron: NeuronFactory,
        norm: NormLayer,
        *,
        stride: int = 1,
        downsample: nn.Module | None = None,
        groups: int = 1,
        base_width: int = 64,
        dilation: int = 1,
    ) -> None:
        super().__init__()
        if groups != 1 or base_width != 64 or dilation > 1:
            raise ValueError(
                "BasicBlock has groups=1, width_per_group=64 and no dilation; "
                "use a bottleneck model (50 layers or more) for other values"
            )
        self.conv1 = conv3x3(cin, planes, stride)
        self.bn1 = norm(planes)
        self.sn1 = neuron()
        self.conv2 = conv3x3(planes, planes)
        self.bn2 = norm(planes)
        self.sn2 = neuron()
        self.downsample = downsample

    def branch(self, x: Tensor) -> Tensor:
        return self.bn2(self.conv2(self.sn1(self.bn1(self.conv1(x)))))

    @property
    def last_neuron(self) -> nn.Module:
        return self.sn2

    @property
    def last_norm(self) -> nn.Module:
        return self.bn2


class Bottleneck(ResidualBlock):
    """1x1, 3x3 (strided), 1x1 convolutions and a shortcut."""

    expansion: ClassVar[int] = 4

    def __init__(
        self,
        cin: int,
        planes: int,
        neuron: NeuronFactory,
        norm: NormLayer,
        *,
        stride: int = 1,
        downsample: nn.Module | None = None,
        groups: int = 1,
        base_width: int = 64,
        dilation: int = 1,
    ) -> None:
        super().__init__()
        width = int(planes * base_width / 64) * groups
        self.conv1 = conv1x1(cin, width)
        self.bn1 = norm(width)
        self.sn1 = neuron()
        self.conv2 = conv3x3(width, width, stride, groups, dilation)
        self.bn2 = norm(width)
        self.sn2 = neuron()
        self.conv3 = conv1x1(width, planes * self.expansion)
        self.bn3 = norm(planes * self.expansion)
        self.sn3 = neuron()
        self.downsample = downsample

    def branch(self, x: Tensor) -> Tensor:
        y = self.sn1(self.bn1(self.conv1(x)))
        y = self.sn2(self.bn2(self.conv2(y)))
        return self.bn3(self.conv3(y))

    @property
    def last_neuron(self) -> nn.Module:
        return self.sn3

    @property
    def last_norm(self) -> nn.Module:
        return self.bn3


class ResNet(SpikingClassifier):
    """Stem, four stages of residual blocks, head.

    Args:
        block: makes a block; a class, or one with arguments of its own bound.
        layers: blocks in each of the four stages.
        num_classes: outputs of the last layer.
        zero_init_residual: start each residual branch at 0.
        groups: groups of the 3x3 convolution of a bottleneck.
        width_per_group: channels of each group at 64 planes.
        replace_stride_with_dilation: for stages 2 to 4, whether to dilate instead of stride.
        norm_layer: makes the norm for a number of channels; step-mode BatchNorm2d by default.
        spiking_neuron: class, name or config of the neuron.
        in_channels: channels of the input.
        small_images: stem for images of some 32 pixels: conv 3x3/1 and no max-pool.
        output: `'steps'` (all time steps), `'mean'` over time or the `'last'` step.
        neuron: arguments of the neuron.
    """

    first_layers = ("conv1",)
    last_layer = "fc"

    def __init__(
        self,
        block: Callable[..., ResidualBlock],
        layers: Sequence[int],
        num_classes: int = 1000,
        zero_init_residual: bool = False,
        groups: int = 1,
        width_per_group: int = 64,
        replace_stride_with_dilation: Sequence[bool] | None = None,
        norm_layer: NormLayer | None = None,
        spiking_neuron: NeuronSpec | None = None,
        *,
        expansion: int,
        in_channels: int = 3,
        small_images: bool = False,
        output: Output = "steps",
        neuron: dict[str, Any],
    ) -> None:
        super().__init__(output)
        owner = type(self).__name__
        positive(owner, num_classes=num_classes, in_channels=in_channels)
        positive(owner, groups=groups, width_per_group=width_per_group)
        all_positive(owner, 4, layers=layers)
        make_neuron = NeuronFactory(type(self), spiking_neuron, neuron)
        norm: NormLayer = layer.BatchNorm2d if norm_layer is None else norm_layer
        if not callable(norm):
            raise TypeError(f"{owner}: norm_layer must make a norm for channels, got {norm!r}")
        dilate = replace_stride_with_dilation or (False, False, False)
        if not isinstance(dilate, Sequence) or len(dilate) != 3:
            raise ValueError(f"{owner}: replace_stride_with_dilation needs 3 values, got {dilate}")
        size, stride, padding = (3, 1, 1) if small_images else (7, 2, 3)
        self.conv1 = blank(
            layer.Conv2d,
            *(in_channels, 64),
            kernel_size=size,
            stride=stride,
            padding=padding,
            bias=False,
        )
        self.bn1 = norm(64)
        self.sn1 = make_neuron()
        self.maxpool = nn.Identity() if small_images else layer.MaxPool2d(3, stride=2, padding=1)
        stages = _Stages(block, expansion, make_neuron, norm, groups, width_per_group)
        self.layer1 = stages.make(64, layers[0])
        self.layer2 = stages.make(128, layers[1], 2, dilate[0])
        self.layer3 = stages.make(256, layers[2], 2, dilate[1])
        self.layer4 = stages.make(512, layers[3], 2, dilate[2])
        self.avgpool = layer.AdaptiveAvgPool2d((1, 1))
        self.fc = layer.Linear(512 * expansion, num_classes)
        kaiming_normal(self)
        if zero_init_residual:
            for module in self.modules():
                if isinstance(module, ResidualBlock):
                    weight = module.last_norm.weight
                    if isinstance(weight, Tensor):
                        nn.init.constant_(weight, 0.0)

    def forward(self, x: Tensor) -> Tensor:
        x = self.maxpool(self.sn1(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        y = self.fc(self.flat(self.avgpool(x), self.avgpool))
        return self.read(y, self.avgpool)


class _Stages:
    """Makes one stage after the other, each fitting the one before."""

    def __init__(
        self,
        block: Callable[..., ResidualBlock],
        expansion: int,
        neuron: NeuronFactory,
        norm: NormLayer,
        groups: int,
        base_width: int,
    ) -> None:
        self.block, self.expansion, self.neuron, self.norm = block, expansion, neuron, norm
        self.options = {"groups": groups, "base_width": base_width}
        self.channels, self.dilation = 64, 1

    def make(self, planes: int, blocks: int, stride: int = 1, dilate: bool = False) -> nn.Module:
        first_dilation = self.dilation
        if dilate:
            self.dilation, stride = self.dilation * stride, 1
        out_channels = planes * self.expansion
        downsample = None
        if stride != 1 or self.channels != out_channels:
            downsample = nn.Sequential(
                conv1x1(self.channels, out_channels, stride), self.norm(out_channels)
            )
        stage = nn.Sequential()
        for index in range(blocks):
            of_first = {"stride": stride, "downsample": downsample, "dilation": first_dilation}
            options = of_first if index == 0 else {"dilation": self.dilation}
            parts = (self.channels, planes, self.neuron, self.norm)
            stage.append(self.block(*parts, **options, **self.options))
            self.channels = out_channels
        return stage
