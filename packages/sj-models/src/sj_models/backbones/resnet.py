"""ResNet backbone, spiking with `neuron=`.

    stem     conv 7x7/2, norm, neuron, max-pool 3x3/2        deep stem: 3 x conv 3x3
    stages   residual blocks; see `residual_block` for 'basic', 'sew' and 'ms'
    'ms'     has no neuron in the stem, and one on each feature that is returned

Parameters are named as in torchvision's ResNets, without `fc`; the weights of an ANN load into its
spiking twin, but for parameters that neurons have.

Source: He, Zhang, Ren, Sun, "Deep residual learning for image recognition", CVPR 2016.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import Any, ClassVar, get_args

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

import sj_layers as layer

from ..layers_from_config import Config, activation_factory, build_conv_layer, build_norm_layer
from ..neurons import NeuronSpec
from .base import Backbone, FeatureInfo, InitConfig, check_sizes, checked_out_indices
from .layer_factory import ConvModule, LayerFactory
from .residual_block import BasicBlock, BlockOptions, Bottleneck, ConfiguredBlock, Residual

__all__ = ["BATCH_NORM", "CONV_INIT", "ResNet", "restore_scaled_norms"]

BATCH_NORM: Config = {"type": "BN"}
CONV_INIT: InitConfig = (  # layers of other classes, by conv_cfg and norm_cfg, start as they do
    {"type": "Kaiming", "layer": "Conv2d", "optional": True},
    {"type": "Constant", "val": 1, "layer": ["_BatchNorm", "GroupNorm"], "optional": True},
)


class ResNet(Backbone):
    """ResNet; images `[N, C, H, W]`, or sequences `[T, N, C, H, W]` with `neuron`.

    Args:
        depth: 18, 34, 50, 101 or 152.
        in_channels: channels of the input.
        stem_channels: channels of the stem.
        base_channels: channels of the first stage, before `expansion`; each stage doubles them.
        expansion: channels of a block's output over those inside; 1, or 4 for bottlenecks, if None.
        num_stages: stages, 1 to 4.
        strides: of the first block of each stage.
        dilations: of the 3x3 convolutions of each stage.
        out_indices: stages whose output is returned; negative ones count from the end.
        style: `'pytorch'` strides the 3x3 convolution of a bottleneck, `'caffe'` the first 1x1.
        deep_stem: three 3x3 convolutions instead of one of 7x7.
        avg_down: average before a shortcut projects, instead of striding.
        frozen_stages: stages that are not trained; 0 is the stem, -1 none.
        conv_cfg: convolutions; Conv2d if None.
        norm_cfg: norms.
        norm_eval: keep batch normalisation on its running statistics in training.
        with_cp: compute blocks again in the backward pass rather than keep their activations.
        zero_init_residual: start the last norm of each branch at 0. If None, where that leaves the
            gradient of the norm alive: ANNs of `residual='basic'`, and `'ms'`.
        init_cfg: see :class:`BaseModule`.
        drop_path_rate: probability of leaving out the branch of a block for a sample.
        residual: `'basic'`, `'sew'` or `'ms'`.
        connect: how `'sew'` joins: `'ADD'`, `'AND'` or `'IAND'`.
        neuron: None for the ANN | class | name | config.

    Raises:
        KeyError: another depth.
        ValueError: an argument out of range, or `connect='AND'` or `'IAND'` without neurons.

    Example:
        >>> import torch
        >>> net = ResNet(18, base_channels=8, stem_channels=8, neuron="IF", residual="sew")
        >>> net(torch.rand(4, 2, 3, 32, 32))[0].shape   # T=4, N=2
        torch.Size([4, 2, 64, 1, 1])
    """

    arch_settings: ClassVar[dict[int, tuple[type[ConfiguredBlock], tuple[int, ...]]]] = {
        18: (BasicBlock, (2, 2, 2, 2)),
        34: (BasicBlock, (3, 4, 6, 3)),
        50: (Bottleneck, (3, 4, 6, 3)),
        101: (Bottleneck, (3, 4, 23, 3)),
        152: (Bottleneck, (3, 8, 36, 3)),
    }
    stem_stride: ClassVar[int] = 4

    def __init__(
        self,
        depth: int,
        in_channels: int = 3,
        stem_channels: int = 64,
        base_channels: int = 64,
        expansion: int | None = None,
        num_stages: int = 4,
        strides: Sequence[int] = (1, 2, 2, 2),
        dilations: Sequence[int] = (1, 1, 1, 1),
        out_indices: int | Sequence[int] = (3,),
        style: str = "pytorch",
        deep_stem: bool = False,
        avg_down: bool = False,
        frozen_stages: int = -1,
        conv_cfg: Config | None = None,
        norm_cfg: Config = BATCH_NORM,
        norm_eval: bool = False,
        with_cp: bool = False,
        zero_init_residual: bool | None = None,
        init_cfg: InitConfig = CONV_INIT,
        drop_path_rate: float = 0.0,
        *,
        residual: Residual = "basic",
        connect: str = "ADD",
        neuron: NeuronSpec | None = None,
    ) -> None:
        super().__init__(
            in_channels=in_channels,
            frozen_stages=frozen_stages,
            norm_eval=norm_eval,
            spiking=neuron is not None,
            init_cfg=init_cfg,
        )
        owner = type(self).__name__
        if depth not in self.arch_settings:
            known = ", ".join(map(str, self.arch_settings))
            raise KeyError(f"{owner}: invalid depth {depth!r}; choose one of {known}")
        self.depth, self.deep_stem, self.avg_down = depth, deep_stem, avg_down
        check_sizes(owner, stem_channels=stem_channels, base_channels=base_channels)
        check_sizes(owner, strides=strides, dilations=dilations, num_stages=num_stages)
        self.num_stages, self.strides_of_stages = num_stages, tuple(strides)
        self.conv_cfg, self.norm_cfg = conv_cfg, norm_cfg
        self.options = BlockOptions(residual, str(connect).upper(), style, with_cp)
        self._check(tuple(dilations), drop_path_rate)
        self.block, blocks = self.arch_settings[depth]
        self.stage_blocks = blocks[:num_stages]
        self.expansion = self.block.expansion if expansion is None else expansion
        check_sizes(owner, expansion=self.expansion)
        self.out_indices = checked_out_indices(owner, out_indices, num_stages)
        if zero_init_residual is None:
            zero_init_residual = residual == "ms" or (residual == "basic" and not self.spiking)
        self.zero_init_residual = zero_init_residual
        activation = activation_factory(neuron, {"type": "ReLU"}, owner=owner)
        self.layer_factory = LayerFactory(conv_cfg, norm_cfg, activation, self.spiking)
        self._make_stem_layer(in_channels, stem_channels)
        self._make_stages(stem_channels, base_channels, tuple(dilations), drop_path_rate)
        self.finish()

    @property
    def norm1(self) -> nn.Module:
        """The norm of the stem."""
        return getattr(self, self.norm1_name)

    def make_activation(self) -> nn.Module:
        """A neuron of this network, or an activation if it has none."""
        return self.layer_factory.activation()

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        x = self.check_input(x)
        x = self.maxpool(self.stem_features(x))
        outs = []
        for index, name in enumerate(self.res_layers):
            x = getattr(self, name)(x)
            if index in self.out_indices:
                outs.append(self.fire(index, x))
        return tuple(outs)

    def stem_features(self, x: Tensor) -> Tensor:
        """The stem up to its nonlinearity."""
        if self.deep_stem:
            return self.stem(x)
        x = self.norm1(self.conv1(x))
        if self.options.residual == "ms":  # the first block begins with a neuron
            return x
        return getattr(self, "sn1" if self.spiking else "relu")(x)

    def fire(self, index: int, x: Tensor) -> Tensor:
        """What is returned of a stage; currents are turned into spikes."""
        return getattr(self, f"out_sn{index + 1}")(x) if self.options.residual == "ms" else x

    def init_own(self) -> None:
        """Threshold-dependent norms at their own scale; last norms of branches at 0."""
        restore_scaled_norms(self)
        if not self.zero_init_residual:
            return
        for block in self.modules():
            if isinstance(block, ConfiguredBlock):
                for norm in block.last_norm.modules():
                    if isinstance(norm, _BatchNorm | nn.GroupNorm):
                        nn.init.constant_(norm.weight, 0.0)

    def layer_depth(self, name: str) -> int | None:
        first, _, rest = name.partition(".")
        if first in ("conv1", "stem", "sn1", getattr(self, "norm1_name", "stem")):
            return 0
        if first not in self.res_layers:
            return None
        stage = self.res_layers.index(first)
        return sum(self.stage_blocks[:stage]) + int(rest.partition(".")[0]) + 1

    def frozen_parts(self) -> Iterable[nn.Module | nn.Parameter]:
        if self.frozen_stages < 0:
            return
        yield from [self.stem] if self.deep_stem else [self.conv1, self.norm1]
        for name in self.res_layers[: self.frozen_stages]:
            yield getattr(self, name)

    def _make_stem_layer(self, in_channels: int, base_channels: int) -> None:
        """Set `conv1`, the norm `norm1_name` and the nonlinearity, or `stem`; and `maxpool`."""
        if self.deep_stem:
            half = base_channels // 2
            last = self.options.residual != "ms"
            self.stem = nn.Sequential(
                ConvModule(self.layer_factory, in_channels, half, 3, stride=2),
                ConvModule(self.layer_factory, half, half, 3),
                ConvModule(self.layer_factory, half, base_channels, 3, activate=last),
            )
        else:
            self._make_plain_stem(in_channels, base_channels, 7, 2)
        self.maxpool = layer.MaxPool2d(3, stride=2, padding=1)

    def _make_plain_stem(self, cin: int, cout: int, kernel_size: int, stride: int) -> None:
        self.conv1 = build_conv_layer(
            self.conv_cfg, cin, cout, kernel_size, stride, kernel_size // 2, bias=False
        )
        self.norm1_name, norm1 = build_norm_layer(self.norm_cfg, cout, postfix=1)
        self.add_module(self.norm1_name, norm1)
        if self.options.residual != "ms":
            self.add_module("sn1" if self.spiking else "relu", self.make_activation())

    def _make_stages(
        self, cin: int, base_channels: int, dilations: tuple[int, ...], drop_path_rate: float
    ) -> None:
        self.num_layers = sum(self.stage_blocks)
        self.res_layers: list[str] = []
        features = []
        strides = accumulate(self.strides_of_stages, lambda a, b: a * b, initial=self.stem_stride)
        for index, stride in enumerate(list(strides)[1:]):
            cout = base_channels * 2**index * self.expansion
            blocks = nn.Sequential()
            for number in range(self.stage_blocks[index]):
                step = self.strides_of_stages[index] if number == 0 else 1
                options = {"dilation": dilations[index], "drop_path_rate": drop_path_rate}
                blocks.append(self._make_block(cin, cout, stride=step, **options))
                cin = cout
            name = f"layer{index + 1}"
            self.add_module(name, blocks)
            self.res_layers.append(name)
            features.append(FeatureInfo(name, cout, stride))
        self.feature_info = tuple(features[index] for index in sorted(self.out_indices))
        if self.options.residual == "ms":
            for index in self.out_indices:
                self.add_module(f"out_sn{index + 1}", self.make_activation())

    def _make_block(self, cin: int, cout: int, *, stride: int, **options: Any) -> nn.Module:
        downsample = None
        if stride != 1 or cin != cout:
            downsample = self._make_shortcut(cin, cout, stride)
        return self.block(
            cin,
            cout,
            self.layer_factory,
            self.options,
            expansion=self.expansion,
            stride=stride,
            downsample=downsample,
            **options,
        )

    def _make_shortcut(self, cin: int, cout: int, stride: int) -> nn.Module:
        parts = nn.Sequential()
        if self.avg_down and stride != 1:
            pool = layer.AvgPool2d(stride, stride, ceil_mode=True, count_include_pad=False)
            parts.append(pool)
            stride = 1
        parts.append(self.layer_factory.conv(cin, cout, 1, stride=stride))
        parts.append(self.layer_factory.norm(cout, summed=self.options.residual != "sew")[1])
        return parts

    def _check(self, dilations: tuple[int, ...], drop_path_rate: float) -> None:
        owner = type(self).__name__
        residual, connect, style, _ = self.options
        choices = {
            "residual": (residual, get_args(Residual)),
            "connect": (connect, ("ADD", "AND", "IAND")),
            "style": (style, ("pytorch", "caffe")),
        }
        for name, (value, known) in choices.items():
            if value not in known:
                raise ValueError(f"{owner}: {name} must be one of {known}, got {value!r}")
        stages = self.num_stages
        if not 1 <= stages <= 4 or {len(self.strides_of_stages), len(dilations)} != {stages}:
            raise ValueError(
                f"{owner}: num_stages must be from 1 to 4, and strides and dilations have as many "
                f"values, got {stages}, {self.strides_of_stages} and {dilations}"
            )
        if self.frozen_stages > stages:
            raise ValueError(
                f"{owner}: frozen_stages must be at most {stages}, got {self.frozen_stages}"
            )
        if residual == "sew" and connect != "ADD" and (drop_path_rate or not self.spiking):
            raise ValueError(f"{owner}: connect={connect!r} needs neuron= and drop_path_rate=0")


def restore_scaled_norms(net: nn.Module) -> None:
    """Set the weights of threshold-dependent norms, which rules for norms in general overwrite."""
    for module in net.modules():
        if isinstance(module, layer.ThresholdDependentBatchNorm2d):
            module.reset_parameters()
