"""Spiking ResNet: ResNet with a neuron in place of each ReLU.

    stem     conv 7x7/2, norm, neuron, max-pool 3x3/2
    block    residual branch + shortcut, neuron after the sum
    head     global average pool, linear

`[T, N, C, H, W] -> [T, N, classes]` in step mode 'm', `[N, C, H, W] -> [N, classes]` in 's'.
Names and order of the parameters equal those of torchvision's ResNets, so their weights load.

Source: He et al., "Deep residual learning for image recognition", CVPR 2016; with spiking neurons:
Hu, Tang, Pan, "Spiking deep residual networks", 2018.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

import sj_layers as layer
from sj_neurons.base import StepModule

from .neurons import NeuronFactory
from .output import Output, checked_output, read_out
from .weights import load_torchvision_weights

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

NormLayer = Callable[[int], nn.Module]


def _conv3x3(cin: int, cout: int, stride: int = 1, groups: int = 1, dilation: int = 1) -> nn.Module:
    return layer.Conv2d(
        cin, cout, 3, stride, padding=dilation, dilation=dilation, groups=groups, bias=False
    )


def _conv1x1(cin: int, cout: int, stride: int = 1) -> nn.Module:
    return layer.Conv2d(cin, cout, 1, stride, bias=False)


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut."""

    expansion: ClassVar[int] = 1

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
        self.conv1 = _conv3x3(cin, planes, stride)
        self.bn1 = norm(planes)
        self.sn1 = neuron()
        self.conv2 = _conv3x3(planes, planes)
        self.bn2 = norm(planes)
        self.sn2 = neuron()
        self.downsample = downsample

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        y = self.sn1(self.bn1(self.conv1(x)))
        return self.sn2(self.bn2(self.conv2(y)) + shortcut)

    def last_norm(self) -> nn.Module:
        """The norm whose weight 0 makes the block an identity."""
        return self.bn2


class Bottleneck(nn.Module):
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
        self.conv1 = _conv1x1(cin, width)
        self.bn1 = norm(width)
        self.sn1 = neuron()
        self.conv2 = _conv3x3(width, width, stride, groups, dilation)
        self.bn2 = norm(width)
        self.sn2 = neuron()
        self.conv3 = _conv1x1(width, planes * self.expansion)
        self.bn3 = norm(planes * self.expansion)
        self.sn3 = neuron()
        self.downsample = downsample

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        y = self.sn1(self.bn1(self.conv1(x)))
        y = self.sn2(self.bn2(self.conv2(y)))
        return self.sn3(self.bn3(self.conv3(y)) + shortcut)

    def last_norm(self) -> nn.Module:
        """The norm whose weight 0 makes the block an identity."""
        return self.bn3


class SpikingResNet(nn.Module):
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
        spiking_neuron: neuron class, called once for each site with `kwargs`.
        output: `'steps'` (all time steps), `'mean'` over time or the `'last'` step.
        **kwargs: arguments of the neuron.

    Raises:
        TypeError: no neuron given, or `kwargs` that it does not take.
        ValueError: an unknown `output`, or `'mean'`/`'last'` in step mode 's'.
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
        spiking_neuron: Callable[..., nn.Module] | None = None,
        *,
        output: Output = "steps",
        **kwargs: Any,
    ) -> None:
        super().__init__()
        self.output: Output = checked_output("SpikingResNet", output)
        self._neuron = NeuronFactory("SpikingResNet", spiking_neuron, kwargs)
        self._norm: NormLayer = norm_layer or layer.BatchNorm2d
        self._groups, self._base_width = groups, width_per_group
        dilate = tuple(replace_stride_with_dilation or (False, False, False))
        if len(dilate) != 3:
            raise ValueError(f"replace_stride_with_dilation needs 3 values, got {dilate}")

        self._channels, self._dilation = 64, 1
        self.conv1 = layer.Conv2d(3, 64, kernel_size=7, stride=2, padding=3, bias=False)
        self.bn1 = self._norm(64)
        self.sn1 = self._neuron()
        self.maxpool = layer.MaxPool2d(kernel_size=3, stride=2, padding=1)
        self.layer1 = self._make_stage(block, 64, layers[0])
        self.layer2 = self._make_stage(block, 128, layers[1], stride=2, dilate=dilate[0])
        self.layer3 = self._make_stage(block, 256, layers[2], stride=2, dilate=dilate[1])
        self.layer4 = self._make_stage(block, 512, layers[3], stride=2, dilate=dilate[2])
        self.avgpool = layer.AdaptiveAvgPool2d((1, 1))
        self.fc = layer.Linear(512 * block.expansion, num_classes)
        self._initialise(zero_init_residual)

    def _make_stage(
        self,
        block: type[BasicBlock] | type[Bottleneck],
        planes: int,
        blocks: int,
        stride: int = 1,
        dilate: bool = False,
    ) -> nn.Sequential:
        first_dilation = self._dilation
        if dilate:
            self._dilation, stride = self._dilation * stride, 1
        out_channels = planes * block.expansion
        downsample = None
        if stride != 1 or self._channels != out_channels:
            downsample = nn.Sequential(
                _conv1x1(self._channels, out_channels, stride), self._norm(out_channels)
            )
        stage = nn.Sequential()
        for index in range(blocks):
            first = index == 0
            stage.append(
                block(
                    self._channels,
                    planes,
                    self._neuron,
                    self._norm,
                    stride=stride if first else 1,
                    downsample=downsample if first else None,
                    groups=self._groups,
                    base_width=self._base_width,
                    dilation=first_dilation if first else self._dilation,
                )
            )
            self._channels = out_channels
        return stage

    def _initialise(self, zero_init_residual: bool) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            elif isinstance(module, nn.BatchNorm2d | nn.GroupNorm):
                nn.init.constant_(module.weight, 1.0)
                nn.init.constant_(module.bias, 0.0)
        if zero_init_residual:
            for module in self.modules():
                if isinstance(module, BasicBlock | Bottleneck):
                    weight = module.last_norm().weight
                    if isinstance(weight, Tensor):
                        nn.init.constant_(weight, 0.0)

    def forward(self, x: Tensor) -> Tensor:
        x = self.maxpool(self.sn1(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        x = self.avgpool(x)
        many_steps = isinstance(self.avgpool, StepModule) and self.avgpool.step_mode == "m"
        y = self.fc(torch.flatten(x, 2 if many_steps else 1))
        if many_steps:
            return read_out(y, self.output)
        if self.output != "steps":
            raise ValueError(
                f"output={self.output!r} needs the whole sequence; "
                "call functional.set_step_mode(net, 'm')"
            )
        return y


def _builder(
    name: str, block: type[BasicBlock] | type[Bottleneck], layers: list[int], **shape: int
) -> Callable[..., SpikingResNet]:
    def build(
        pretrained: bool = False,
        progress: bool = True,
        spiking_neuron: Callable[..., nn.Module] | None = None,
        **kwargs: Any,
    ) -> SpikingResNet:
        model = SpikingResNet(block, layers, spiking_neuron=spiking_neuron, **shape, **kwargs)
        if pretrained:
            load_torchvision_weights(model, name, progress)
        return model

    build.__name__ = build.__qualname__ = f"spiking_{name}"
    build.__doc__ = f"""Spiking twin of torchvision's `{name}`.

    Args:
        pretrained: load the ANN's ImageNet weights (downloaded once, checked by hash).
        progress: show a bar during the download.
        spiking_neuron: neuron class, called once for each site.
        **kwargs: arguments of :class:`SpikingResNet`; all others go to the neuron.
    """
    return build


spiking_resnet18 = _builder("resnet18", BasicBlock, [2, 2, 2, 2])
spiking_resnet34 = _builder("resnet34", BasicBlock, [3, 4, 6, 3])
spiking_resnet50 = _builder("resnet50", Bottleneck, [3, 4, 6, 3])
spiking_resnet101 = _builder("resnet101", Bottleneck, [3, 4, 23, 3])
spiking_resnet152 = _builder("resnet152", Bottleneck, [3, 8, 36, 3])
spiking_resnext50_32x4d = _builder(
    "resnext50_32x4d", Bottleneck, [3, 4, 6, 3], groups=32, width_per_group=4
)
spiking_resnext101_32x8d = _builder(
    "resnext101_32x8d", Bottleneck, [3, 4, 23, 3], groups=32, width_per_group=8
)
spiking_wide_resnet50_2 = _builder("wide_resnet50_2", Bottleneck, [3, 4, 6, 3], width_per_group=128)
spiking_wide_resnet101_2 = _builder(
    "wide_resnet101_2", Bottleneck, [3, 4, 23, 3], width_per_group=128
)
