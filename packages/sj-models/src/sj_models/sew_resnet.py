"""Spike-element-wise (SEW) ResNet: the neuron precedes the sum, and the shortcut has its own.

    A = neuron(branch(x))       S = x, or neuron(downsample(x)) where the shape changes
    ADD   y = A + S             whole numbers that grow with depth
    AND   y = A S
    IAND  y = (1 - A) S         (not A) and S

`[T, N, C, H, W] -> [T, N, classes]` in step mode 'm', `[N, C, H, W] -> [N, classes]` in 's'.
Names and order of the parameters equal those of torchvision's ResNets, so their weights load.

Source: Fang, Yu, Chen, Huang, Masquelier, Tian, "Deep residual learning in spiking neural
networks", NeurIPS 2021.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Literal, get_args

from torch import Tensor, nn

from . import resnet_parts
from .classifier import make, show_arguments
from .errors import did_you_mean
from .neurons import NeuronFactory, NeuronSpec
from .output import Output
from .resnet_parts import VARIANTS, NormLayer, ResidualBlock, ResNet
from .weights import Weights

__all__ = [
    "SEWResNet",
    "sew_resnet18",
    "sew_resnet34",
    "sew_resnet50",
    "sew_resnet101",
    "sew_resnet152",
    "sew_resnext50_32x4d",
    "sew_resnext101_32x8d",
    "sew_wide_resnet50_2",
    "sew_wide_resnet101_2",
]

Connect = Literal["ADD", "AND", "IAND"]


def connected(branch: Tensor, shortcut: Tensor, connect: str, swapped: bool = False) -> Tensor:
    """`g(A, S)` of spikes A of the branch and S of the shortcut; `swapped` exchanges them."""
    if connect == "ADD":
        return branch + shortcut
    if connect == "AND":
        return branch * shortcut
    if swapped:
        branch, shortcut = shortcut, branch
    return shortcut * (1.0 - branch)


class SEWBlock(ResidualBlock):
    """Mix-in before a block: neurons before the connection, which is `connect`."""

    def __init__(
        self,
        cin: int,
        planes: int,
        neuron: NeuronFactory,
        norm: NormLayer,
        *,
        connect: str,
        swapped: bool = False,
        downsample: nn.Module | None = None,
        **shape: int,
    ) -> None:
        super().__init__(cin, planes, neuron, norm, downsample=downsample, **shape)  # pyright: ignore[reportCallIssue]
        self.connect, self.swapped = connect, swapped
        self.downsample_sn = None if downsample is None else neuron()

    def forward(self, x: Tensor) -> Tensor:
        branch = self.last_neuron(self.branch(x))
        shortcut = self.shortcut(x)
        if self.downsample_sn is not None:
            shortcut = self.downsample_sn(shortcut)
        return connected(branch, shortcut, self.connect, self.swapped)

    def extra_repr(self) -> str:
        return f"connect={self.connect}" + (", swapped=True" if self.swapped else "")


class BasicBlock(SEWBlock, resnet_parts.BasicBlock):
    """Two 3x3 convolutions and a shortcut."""


class Bottleneck(SEWBlock, resnet_parts.Bottleneck):
    """1x1, 3x3 (strided), 1x1 convolutions and a shortcut."""


class SEWResNet(ResNet):
    """SEW ResNet.

    Args:
        block: `BasicBlock` or `Bottleneck`, those of this module.
        layers: blocks in each of the four stages.
        num_classes: outputs of the last layer.
        zero_init_residual: start the last norm of each branch at 0. The branch then fires nothing,
            which passes the shortcut on with ADD and IAND, and nothing at all with AND; surrogates
            of bounded width may never wake it.
        groups, width_per_group, replace_stride_with_dilation, norm_layer: as for a ResNet.
        cnf: how branch and shortcut are connected: `'ADD'`, `'AND'` or `'IAND'`; its paper's name
            `connect_f` is taken too.
        spiking_neuron: class, name or config of the neuron, made once for each site.
        in_channels: channels of the input; 2 for event frames.
        small_images: stem for images of some 32 pixels: conv 3x3/1 and no max-pool.
        output: `'steps'` (all time steps), `'mean'` over time or the `'last'` step.
        connect_f: another name of `cnf`.
        swapped_bottleneck: for IAND in bottlenecks, `A (1 - S)` instead of the paper's
            `(1 - A) S`: what checkpoints of bottleneck models trained with SpikingJelly expect.
        **kwargs: arguments of the neuron.

    Raises:
        TypeError: no neuron given, or `kwargs` that it does not take.
        ValueError: an unknown connection or `output`, a size out of range, or `'mean'`/`'last'` in
            step mode 's'.
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
        cnf: Connect | None = None,
        spiking_neuron: NeuronSpec | None = None,
        *,
        in_channels: int = 3,
        small_images: bool = False,
        output: Output = "steps",
        connect_f: Connect | None = None,
        swapped_bottleneck: bool = False,
        **kwargs: Any,
    ) -> None:
        if not isinstance(block, type) or not issubclass(block, SEWBlock):
            raise TypeError(
                f"SEWResNet: block must be BasicBlock or Bottleneck of sew_resnet, got {block!r}"
            )
        connect = _checked_connect(cnf, connect_f)
        swapped = swapped_bottleneck and issubclass(block, Bottleneck)
        super().__init__(
            partial(block, connect=connect, swapped=swapped),
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


def _checked_connect(cnf: str | None, connect_f: str | None) -> str:
    if cnf is not None and connect_f is not None and cnf != connect_f:
        raise ValueError(f"SEWResNet: cnf={cnf!r} and connect_f={connect_f!r} are the same setting")
    connect = cnf if cnf is not None else connect_f if connect_f is not None else "ADD"
    known = get_args(Connect)
    if connect not in known:
        hint = did_you_mean(str(connect), known)
        raise ValueError(f"SEWResNet: cnf must be one of {known}, got {connect!r}{hint}")
    return connect


def _builder(name: str) -> Callable[..., SEWResNet]:
    bottleneck, layers, shape = VARIANTS[name]
    fixed = {"block": Bottleneck if bottleneck else BasicBlock, "layers": layers, **shape}

    def build(
        pretrained: bool = False,
        progress: bool = True,
        cnf: Connect | None = None,
        spiking_neuron: NeuronSpec | None = None,
        *,
        weights: Weights | None = None,
        strict: bool = True,
        **kwargs: Any,
    ) -> SEWResNet:
        return make(
            SEWResNet,
            {**fixed, "cnf": cnf, "spiking_neuron": spiking_neuron, **kwargs},
            name=name,
            pretrained=pretrained,
            progress=progress,
            weights=weights,
            strict=strict,
        )

    doc = f"""SEW ResNet of the shape of torchvision's `{name}`.

    Args:
        pretrained: load the ANN's ImageNet weights (downloaded once, checked by hash).
        progress: show a bar during the download.
        cnf: `'ADD'` (the default), `'AND'` or `'IAND'`.
        spiking_neuron: class, name or config of the neuron, made once for each site.
        weights: URL, file, state dict or torchvision's enum, of an ANN or a spiking twin.
        strict: refuse weights that lack keys or have others.
        **kwargs: arguments of :class:`SEWResNet`; all others go to the neuron.
    """
    show_arguments(build, f"sew_{name}", SEWResNet, ("block", "layers"), doc)
    return build


sew_resnet18 = _builder("resnet18")
sew_resnet34 = _builder("resnet34")
sew_resnet50 = _builder("resnet50")
sew_resnet101 = _builder("resnet101")
sew_resnet152 = _builder("resnet152")
sew_resnext50_32x4d = _builder("resnext50_32x4d")
sew_resnext101_32x8d = _builder("resnext101_32x8d")
sew_wide_resnet50_2 = _builder("wide_resnet50_2")
sew_wide_resnet101_2 = _builder("wide_resnet101_2")
