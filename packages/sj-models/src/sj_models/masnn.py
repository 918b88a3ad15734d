"""Spiking network with multi-dimensional attention (MA-SNN), for event frames.

    conv block     conv 3x3, norm, (average pool), attention over time, channels, places, neuron
    linear block   linear, norm, attention over time, ReLU, neuron
    net            three conv blocks, two linear blocks

`[T, N, C, H, W] -> [T, N, classes]`, the spikes of the last neurons, or `[N, classes]` with
`output='mean'` (firing rates) or `'last'`. Images `[N, C, H, W]` are shown T times. Step mode 'm'
only, as attention weighs the time steps against each other.

Source: Yao, Zhao, Zhang, Hu, Deng, Tian, Xu, Li, "Attention spiking neural networks", IEEE TPAMI
2023.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from torch import Tensor, nn

import sj_layers as layer
from sj_neurons import functional, surrogate
from sj_neurons.neuron import LIFNode

from .classifier import SpikingClassifier, all_positive, positive
from .neurons import NeuronFactory, NeuronSpec
from .output import Output
from .transformer_parts import TimeAxis, sized

__all__ = ["MASNN", "masnn_dvs128_gesture"]


class _ConvBlock(nn.Module):
    def __init__(self, cin: int, cout: int, pool: int, attn: nn.Module, cell: nn.Module) -> None:
        super().__init__()
        self.conv = layer.Conv2d(cin, cout, 3, padding=1)
        self.bn = layer.BatchNorm2d(cout)
        self.pool = layer.AvgPool2d(pool, pool) if pool > 1 else nn.Identity()
        self.attn = attn
        self.cell = cell

    def forward(self, x_seq: Tensor) -> Tensor:
        return self.cell(self.attn(self.pool(self.bn(self.conv(x_seq)))))


class _LinearBlock(nn.Module):
    def __init__(self, cin: int, cout: int, attn: nn.Module, cell: nn.Module) -> None:
        super().__init__()
        self.linear = layer.Linear(cin, cout)
        self.bn = layer.BatchNorm1d(cout)
        self.attn = attn
        self.relu = nn.ReLU()
        self.cell = cell

    def forward(self, x_seq: Tensor) -> Tensor:
        return self.cell(self.relu(self.attn(self.bn(self.linear(x_seq)))))


class MASNN(SpikingClassifier):
    """Multi-dimensional attention SNN.

    Args:
        T: time steps of a sequence.
        in_channels: channels of the input; 2 for event frames.
        num_classes: units of the last layer.
        input_size: height and width of a frame in pixels.
        channels: channels of each convolution.
        pools: side of the average pool in each convolution block; 1 for none.
        fc_hidden: units of the first linear layer.
        reduction_t, reduction_c: factors by which the hidden layers of the attention are smaller
            than T and the channels.
        spiking_neuron: class, name or config of the neuron; the paper's LIF if `None`.
        output: `'steps'` (all time steps), `'mean'` over time or the `'last'` step.
        **kwargs: arguments of the neuron.

    Raises:
        TypeError: `kwargs` that the neuron does not take.
        ValueError: a size out of range, an unknown `output`, or an input of another shape.
    """

    default_neuron: ClassVar[dict[str, Any]] = {
        "tau": 1 / 0.7,
        "decay_input": False,
        "v_threshold": 0.3,
        "detach_reset": True,
        "surrogate_function": surrogate.Rect(alpha=2.0),
    }
    first_layers, last_layer = ("conv_blocks.0.conv",), "fc_blocks.1"

    def __init__(
        self,
        T: int = 60,
        in_channels: int = 2,
        num_classes: int = 11,
        input_size: tuple[int, int] = (32, 32),
        channels: Sequence[int] = (64, 128, 128),
        pools: Sequence[int] = (1, 2, 2),
        fc_hidden: int = 256,
        reduction_t: int = 5,
        reduction_c: int = 8,
        spiking_neuron: NeuronSpec | None = None,
        *,
        output: Output = "steps",
        **kwargs: Any,
    ) -> None:
        super().__init__(output)
        positive("MASNN", T=T, in_channels=in_channels, num_classes=num_classes)
        positive("MASNN", fc_hidden=fc_hidden)
        all_positive("MASNN", channels=channels)
        all_positive("MASNN", len(channels), pools=pools)
        all_positive("MASNN", 2, input_size=input_size)
        neuron = NeuronFactory(
            type(self),
            spiking_neuron or LIFNode,
            kwargs if spiking_neuron else {**self.default_neuron, **kwargs},
        )
        height, width = input_size
        self.time_axis = TimeAxis(T, in_channels, (height, width), fixed=True)
        self.conv_blocks = nn.Sequential()
        cin = in_channels
        for cout, pool in zip(channels, pools, strict=True):
            attn = layer.MultiDimensionalAttention(T, cout, reduction_t, reduction_c)
            self.conv_blocks.append(_ConvBlock(cin, cout, pool, attn, neuron()))
            cin, height, width = cout, height // pool, width // pool
        if height < 1 or width < 1:
            raise ValueError(f"MASNN: frames of {input_size} pixels are too small for {pools=}")
        self.flatten = layer.Flatten()
        features = (cin * height * width, fc_hidden, num_classes)
        self.fc_blocks = nn.Sequential(
            *(
                _LinearBlock(
                    features[index],
                    features[index + 1],
                    layer.TemporalWiseAttention(T, reduction_t, dimension=2),
                    neuron(),
                )
                for index in (0, 1)
            )
        )
        functional.set_step_mode(self, "m")

    def forward(self, x: Tensor) -> Tensor:
        maps = self.conv_blocks(self.time_axis(x))
        return self.read(self.fc_blocks(self.flatten(maps)), self.flatten)


masnn_dvs128_gesture = sized(
    MASNN, "masnn_dvs128_gesture", "MA-SNN for DVS128 Gesture, frames of 32x32 pixels."
)
