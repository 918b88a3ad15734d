"""The networks of the training benchmark, each written once for any library's layers.

A library is its modules `layer`, `neuron` and `surrogate`; the three of SpikingJelly have the same
names as ours.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

__all__ = ["TASKS", "Library", "Task", "csnn", "dvs_gesture_net", "spiking_resnet18"]


class Library(NamedTuple):
    """Where a network takes its parts from."""

    layer: Any
    neuron: Any
    surrogate: Any

    def fire(self, kind: str, **arguments: Any) -> nn.Module:
        """A neuron with the ATan surrogate; `kind` is its class without `Node`."""
        node = getattr(self.neuron, f"{kind}Node")
        return node(surrogate_function=self.surrogate.ATan(), **arguments)


def csnn(library: Library, channels: int = 32) -> nn.Module:
    """Two convolutions and two linear layers, 28 x 28 pixels, 10 classes."""
    layer = library.layer
    return nn.Sequential(
        layer.Conv2d(1, channels, 3, padding=1, bias=False),
        layer.BatchNorm2d(channels),
        library.fire("IF"),
        layer.MaxPool2d(2, 2),
        layer.Conv2d(channels, channels, 3, padding=1, bias=False),
        layer.BatchNorm2d(channels),
        library.fire("IF"),
        layer.MaxPool2d(2, 2),
        layer.Flatten(),
        layer.Linear(channels * 7 * 7, channels * 4 * 4, bias=False),
        library.fire("IF"),
        layer.Linear(channels * 4 * 4, 10, bias=False),
        library.fire("IF"),
    )


def dvs_gesture_net(library: Library, channels: int = 128) -> nn.Module:
    """Five convolutions with pooling, 64 x 64 pixels of two polarities, 11 classes of 10 votes."""
    layer = library.layer
    modules: list[nn.Module] = []
    for block in range(5):
        modules += [
            layer.Conv2d(channels if block else 2, channels, 3, padding=1, bias=False),
            layer.BatchNorm2d(channels),
            library.fire("LIF", detach_reset=True),
            layer.MaxPool2d(2, 2),
        ]
    modules += [
        layer.Flatten(),
        layer.Linear(channels * 2 * 2, 110),
        library.fire("LIF", detach_reset=True),
    ]
    return nn.Sequential(*modules)


class _BasicBlock(nn.Module):
    def __init__(self, library: Library, width_in: int, width: int, stride: int) -> None:
        super().__init__()
        layer = library.layer
        self.conv1 = layer.Conv2d(width_in, width, 3, stride, 1, bias=False)
        self.bn1 = layer.BatchNorm2d(width)
        self.sn1 = library.fire("IF")
        self.conv2 = layer.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = layer.BatchNorm2d(width)
        self.sn2 = library.fire("IF")
        self.downsample = None
        if stride > 1 or width_in != width:
            self.downsample = nn.Sequential(
                layer.Conv2d(width_in, width, 1, stride, bias=False), layer.BatchNorm2d(width)
            )

    def forward(self, x: Tensor) -> Tensor:
        y = self.sn1(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return self.sn2(y + (x if self.downsample is None else self.downsample(x)))


def spiking_resnet18(library: Library) -> nn.Module:
    """ResNet-18 whose activations are neurons, 10 classes."""
    layer = library.layer
    widths, blocks = (64, 128, 256, 512), []
    for stage, width in enumerate(widths):
        before = widths[max(stage - 1, 0)]
        blocks.append(_BasicBlock(library, before, width, 2 if stage else 1))
        blocks.append(_BasicBlock(library, width, width, 1))
    return nn.Sequential(
        layer.Conv2d(3, 64, 7, 2, 3, bias=False),
        layer.BatchNorm2d(64),
        library.fire("IF"),
        layer.MaxPool2d(3, 2, 1),
        *blocks,
        layer.AdaptiveAvgPool2d((1, 1)),
        layer.Flatten(),
        layer.Linear(512, 10),
    )


class Task(NamedTuple):
    """A network, its input and what is asked of our training step."""

    build: Callable[[Library], nn.Module]
    T: int
    shape: tuple[int, ...]  # of one step
    is_image: bool  # the same image at every step
    classes: int
    must: float
    aim: float

    def frames(self) -> Tensor:
        """One step `[N, C, H, W]` of an image, or a sequence `[T, N, C, H, W]`."""
        shape = self.shape if self.is_image else (self.T, *self.shape)
        return torch.rand(shape, generator=torch.Generator().manual_seed(0))


TASKS = {
    "csnn": Task(csnn, 4, (32, 1, 28, 28), True, 10, 2.0, 2.3),
    "dvs_gesture_net": Task(dvs_gesture_net, 8, (2, 2, 64, 64), False, 110, 1.4, 1.6),
    "spiking_resnet18": Task(spiking_resnet18, 4, (4, 3, 64, 64), True, 10, 1.15, 1.25),
}
