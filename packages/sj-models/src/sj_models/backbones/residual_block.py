"""Residual blocks of backbones.

    basic   y = neuron(branch(x) + shortcut(x))             branch = conv norm (neuron conv norm)*
    sew     y = g(neuron(branch(x)), neuron(shortcut(x)))   g: ADD, AND or IAND
    ms      y = branch(x) + shortcut(x)                     branch = (neuron conv norm)*

The neuron of a shortcut is there only where it changes the shape. Without neurons, activations take
their places: 'ms' is then the pre-activation ResNet without its norms before the sum.

Sources: He, Zhang, Ren, Sun, "Deep residual learning for image recognition", CVPR 2016; Fang et
al., "Deep residual learning in spiking neural networks", NeurIPS 2021 (sew); Hu et al., "Advancing
spiking neural networks toward deep residual learning", IEEE TNNLS 2024 (ms).
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

from torch import Tensor, nn

from ..resnet_parts import ResidualBlock
from ..sew_resnet import connected
from .checkpointing import checkpointed
from .drop_path import DropPath
from .layer_factory import LayerFactory

__all__ = ["BasicBlock", "BlockOptions", "Bottleneck", "ConfiguredBlock", "ConvSpec", "Residual"]

Residual = Literal["basic", "sew", "ms"]


class ConvSpec(NamedTuple):
    """Output channels, kernel size, stride and dilation of a convolution."""

    channels: int
    kernel_size: int
    stride: int = 1
    dilation: int = 1


class BlockOptions(NamedTuple):
    """What all blocks of a network have in common.

    Attributes:
        residual: how branch and shortcut meet.
        connect: g of `'sew'`.
        style: `'pytorch'` strides the 3x3 convolution of a bottleneck, `'caffe'` the first 1x1.
        with_cp: keep no activations between blocks for the backward pass.
    """

    residual: Residual = "basic"
    connect: str = "ADD"
    style: str = "pytorch"
    with_cp: bool = False


class ConfiguredBlock(ResidualBlock):
    """A residual block of any convolutions; a subclass names them.

    Args:
        cin, cout: channels in and out.
        layers: makes the layers.
        options: see :class:`BlockOptions`.
        expansion: `cout` over the channels inside; that of the class if None.
        stride, dilation: of the block.
        downsample: the shortcut; the identity if None.
        drop_path_rate: probability of leaving out the branch for a sample.
    """

    def __init__(
        self,
        cin: int,
        cout: int,
        layers: LayerFactory,
        options: BlockOptions,
        *,
        expansion: int | None = None,
        stride: int = 1,
        dilation: int = 1,
        downsample: nn.Module | None = None,
        drop_path_rate: float = 0.0,
    ) -> None:
        super().__init__()
        self.options = options
        specs = self.convolutions(cout, cout // (expansion or self.expansion), stride, dilation)
        self.norm_names: list[str] = []
        self._activation = layers.activation_name
        for number, spec in enumerate(specs, start=1):
            channels, kernel, conv_stride, conv_dilation = spec
            conv = layers.conv(
                cin,
                channels,
                kernel,
                stride=conv_stride,
                padding=kernel // 2 * conv_dilation,
                dilation=conv_dilation,
            )
            last = number == len(specs)
            norm_name, norm = layers.norm(channels, number, last and options.residual != "sew")
            self.add_module(f"conv{number}", conv)
            self.add_module(norm_name, norm)
            self.add_module(f"{self._activation}{number}", layers.activation())
            self.norm_names.append(norm_name)
            cin = channels
        self.downsample = downsample
        sew_shortcut = options.residual == "sew" and downsample is not None
        self.downsample_sn = layers.activation() if sew_shortcut else nn.Identity()
        self.drop_path = DropPath(drop_path_rate)

    def convolutions(self, cout: int, width: int, stride: int, dilation: int) -> list[ConvSpec]:
        """The convolutions of the branch; `width` channels inside."""
        raise NotImplementedError

    def part(self, kind: str, number: int) -> Any:
        """The convolution (`"conv"`), norm or nonlinearity of this number, from 1."""
        names = {
            "conv": f"conv{number}",
            "norm": self.norm_names[number - 1],
            "activation": f"{self._activation}{number}",
        }
        return getattr(self, names[kind])

    @property
    def last_norm(self) -> nn.Module:
        return self.part("norm", len(self.norm_names))

    @property
    def last_neuron(self) -> nn.Module:
        return self.part("activation", len(self.norm_names))

    def branch(self, x: Tensor) -> Tensor:
        neuron_first = self.options.residual == "ms"
        for number in range(1, len(self.norm_names) + 1):
            if neuron_first:
                x = self.part("activation", number)(x)
            elif number > 1:
                x = self.part("activation", number - 1)(x)
            x = self.part("norm", number)(self.part("conv", number)(x))
        return x

    def joined(self, x: Tensor) -> Tensor:
        """Branch and shortcut together."""
        if self.options.residual == "sew":
            spikes = self.drop_path(self.last_neuron(self.branch(x)))
            return connected(spikes, self.downsample_sn(self.shortcut(x)), self.options.connect)
        y = self.drop_path(self.branch(x)) + self.shortcut(x)
        return y if self.options.residual == "ms" else self.last_neuron(y)

    def forward(self, x: Tensor) -> Tensor:
        if self.options.with_cp:
            return checkpointed(self, self.joined, x)
        return self.joined(x)

    def extra_repr(self) -> str:
        residual, connect = self.options[:2]
        return f"{residual=}" + (f", {connect=}" if residual == "sew" else "")


class BasicBlock(ConfiguredBlock):
    """Two 3x3 convolutions."""

    expansion = 1

    def convolutions(self, cout: int, width: int, stride: int, dilation: int) -> list[ConvSpec]:
        return [ConvSpec(width, 3, stride, dilation), ConvSpec(cout, 3)]


class Bottleneck(ConfiguredBlock):
    """1x1, 3x3 and 1x1 convolutions."""

    expansion = 4

    def convolutions(self, cout: int, width: int, stride: int, dilation: int) -> list[ConvSpec]:
        first, second = (1, stride) if self.options.style == "pytorch" else (stride, 1)
        return [ConvSpec(width, 1, first), ConvSpec(width, 3, second, dilation), ConvSpec(cout, 1)]
