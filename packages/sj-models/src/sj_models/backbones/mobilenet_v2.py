"""MobileNetV2 backbone, spiking with `neuron=`.

    block   y = [x +] linear(depthwise(expand(x)))     conv 1x1, depthwise conv 3x3, conv 1x1

Expansion and depthwise convolution end in a norm and a neuron, the linear one in a norm: what is
added are currents, so that sums of spikes do not grow.

Source: Sandler, Howard, Zhu, Zhmoginov, Chen, "MobileNetV2: inverted residuals and linear
bottlenecks", CVPR 2018.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from torch import Tensor, nn

from ..layers_from_config import Config, activation_factory
from ..neurons import NeuronSpec
from .base import Backbone, FeatureInfo, InitConfig, checked_out_indices
from .checkpointing import checkpointed
from .layer_factory import ConvModule, LayerFactory
from .resnet import BATCH_NORM, CONV_INIT, restore_scaled_norms

__all__ = ["InvertedResidual", "MobileNetV2", "make_divisible"]

# expansion, channels, blocks, stride
_STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
RELU6: Config = {"type": "ReLU6"}


def make_divisible(value: float, divisor: int = 8) -> int:
    """The nearest multiple of `divisor`, at least one of it and at least 0.9 `value`."""
    rounded = max(divisor, int(value + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * value else rounded


class InvertedResidual(nn.Module):
    """Expansion, depthwise and linear convolution; the input is added where the shape allows.

    Args:
        layers: makes the layers.
        cin, cout: channels in and out.
        stride: of the depthwise convolution.
        expansion: channels inside over `cin`; 1 leaves the first convolution out.
        with_cp: compute the block again in the backward pass.
    """

    def __init__(
        self,
        layers: LayerFactory,
        cin: int,
        cout: int,
        *,
        stride: int,
        expansion: int,
        with_cp: bool = False,
    ) -> None:
        super().__init__()
        width = cin * expansion
        self.with_cp = with_cp
        self.adds_input = stride == 1 and cin == cout
        self.conv = nn.Sequential()
        if expansion != 1:
            self.conv.append(ConvModule(layers, cin, width, 1))
        self.conv.append(ConvModule(layers, width, width, 3, stride=stride, groups=width))
        self.conv.append(ConvModule(layers, width, cout, 1, activate=False))

    def forward(self, x: Tensor) -> Tensor:
        y = checkpointed(self.conv, self.conv, x) if self.with_cp else self.conv(x)
        return x + y if self.adds_input else y


class MobileNetV2(Backbone):
    """MobileNetV2; images `[N, C, H, W]`, or sequences `[T, N, C, H, W]` with `neuron`.

    Args:
        widen_factor: factor of all channels.
        out_indices: stages 0 to 6, or 7 for the last convolution, whose output is returned;
            negative ones count from the end.
        frozen_stages: stages that are not trained; 0 is the stem, -1 none.
        conv_cfg: convolutions; Conv2d if None.
        norm_cfg: norms.
        act_cfg: activation of the ANN.
        norm_eval: keep batch normalisation on its running statistics in training.
        with_cp: compute blocks again in the backward pass rather than keep their activations.
        init_cfg: see :class:`BaseModule`.
        in_channels: channels of the input.
        neuron: None for the ANN | class | name | config.

    Raises:
        ValueError: an argument out of range.
    """

    def __init__(
        self,
        widen_factor: float = 1.0,
        out_indices: int | Sequence[int] = (7,),
        frozen_stages: int = -1,
        conv_cfg: Config | None = None,
        norm_cfg: Config = BATCH_NORM,
        act_cfg: Config = RELU6,
        norm_eval: bool = False,
        with_cp: bool = False,
        init_cfg: InitConfig = CONV_INIT,
        *,
        in_channels: int = 3,
        neuron: NeuronSpec | None = None,
    ) -> None:
        super().__init__(
            in_channels=in_channels,
            frozen_stages=frozen_stages,
            norm_eval=norm_eval,
            spiking=neuron is not None,
            init_cfg=init_cfg,
        )
        stages = len(_STAGES)
        if widen_factor <= 0 or frozen_stages > stages:
            raise ValueError(
                f"MobileNetV2: expected widen_factor > 0 and frozen_stages <= {stages}, "
                f"got {widen_factor} and {frozen_stages}"
            )
        self.out_indices = checked_out_indices("MobileNetV2", out_indices, stages + 1)
        activation = activation_factory(neuron, act_cfg, owner="MobileNetV2")
        layers = LayerFactory(conv_cfg, norm_cfg, activation, self.spiking)
        cin = make_divisible(32 * widen_factor)
        self.conv1 = ConvModule(layers, in_channels, cin, 3, stride=2)
        features, pixels = [], 2
        self.layers = [f"layer{index + 1}" for index in range(stages)]
        for name, (expansion, channels, blocks, stride) in zip(self.layers, _STAGES, strict=True):
            stage = nn.Sequential()
            cout = make_divisible(channels * widen_factor)
            for index in range(blocks):
                step = stride if index == 0 else 1
                options = {"stride": step, "expansion": expansion, "with_cp": with_cp}
                stage.append(InvertedResidual(layers, cin, cout, **options))
                cin = cout
            self.add_module(name, stage)
            pixels *= stride
            features.append(FeatureInfo(name, cout, pixels))
        last = int(1280 * max(widen_factor, 1.0))
        self.conv2 = ConvModule(layers, cin, last, 1)
        self.num_layers = sum(blocks for _, _, blocks, _ in _STAGES)
        features.append(FeatureInfo("conv2", last, pixels))
        self.feature_info = tuple(features[index] for index in sorted(self.out_indices))
        self.finish()

    def init_own(self) -> None:
        """Threshold-dependent norms at their own scale."""
        restore_scaled_norms(self)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        x = self.check_input(x)
        x = self.conv1(x)
        outs = []
        for index, name in enumerate([*self.layers, "conv2"]):
            if index > max(self.out_indices):
                break
            x = getattr(self, name)(x)
            if index in self.out_indices:
                outs.append(x)
        return tuple(outs)

    def layer_depth(self, name: str) -> int | None:
        first, _, rest = name.partition(".")
        if first == "conv1":
            return 0
        if first not in self.layers:
            return None
        before = sum(blocks for _, _, blocks, _ in _STAGES[: self.layers.index(first)])
        return before + int(rest.partition(".")[0]) + 1

    def frozen_parts(self) -> Iterable[nn.Module | nn.Parameter]:
        if self.frozen_stages < 0:
            return
        yield self.conv1
        for name in self.layers[: self.frozen_stages]:
            yield getattr(self, name)
