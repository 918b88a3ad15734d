"""E-SpikeFormer: the spike-driven transformer of the third generation.

    stem      conv 7x7/2; between the stages neuron, conv 3x3/2, norm (the last at stride 1)
    conv      x + SepConv(x);  x + MLP(x) with 3x3 convolutions
    block     x + SepConv(x);  x + SDSA(x);  x + MLP(x)
    SepConv   neuron, conv 1x1, neuron, depth-wise conv, neuron, conv 1x1, each with a norm
    SDSA      Q, K, V = neuron(norm(conv(neuron(x)))), V with 4 D channels
              norm(conv(neuron(2 / sqrt(d) Q K^T V)))
    head      mean over places, neuron, linear, per time step

All neurons approximate the firing of D spikes by a whole number while training; see `spike_firing`.
Maps [T, N, C, H, W] of currents with membrane shortcuts.

Source: Yao, Qiu, Hu, Hu, Chou, Tian, Liao, Leng, Xu, Li, "Scaling spike-driven transformer with
efficient spike firing approximation training", IEEE TPAMI 2025 (arXiv 2411.16061).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from torch import Tensor, nn

from .classifier import all_positive
from .output import Output, read_out
from .spike_firing import SpikeFiring
from .transformer_parts import (
    ConvMLP,
    Neurons,
    SpikingTransformer,
    TokenMixer,
    conv_norm,
    sized,
)

__all__ = ["ESpikeFormer", "e_spikeformer_5m", "e_spikeformer_10m", "e_spikeformer_19m"]


class _SepConv(nn.Module):
    """Depth-wise convolution between two over channels, twice as wide."""

    def __init__(self, dim: int, kernel_size: int, neurons: Neurons) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *(neurons(), *conv_norm(dim, 2 * dim, 1)),
            *(neurons(), *conv_norm(2 * dim, 2 * dim, kernel_size, groups=2 * dim)),
            *(neurons(), *conv_norm(2 * dim, dim, 1)),
        )

    def forward(self, x_seq: Tensor) -> Tensor:
        return self.body(x_seq)


class _WideAttention(TokenMixer):
    """Spike-driven self-attention with values four times as wide."""

    k_spike: Any  # SpikeFiring
    v_spike: Any

    def __init__(self, dim: int, num_heads: int, neurons: Neurons) -> None:
        super().__init__(dim, num_heads)
        self.scale = 2.0 * (dim // num_heads) ** -0.5
        self.input_spike = neurons()
        self.q_conv, self.q_spike = nn.Sequential(*conv_norm(dim, dim, 1)), neurons()
        self.k_conv, self.k_spike = nn.Sequential(*conv_norm(dim, dim, 1)), neurons()
        self.v_conv, self.v_spike = nn.Sequential(*conv_norm(dim, 4 * dim, 1)), neurons()
        self.attn_spike = neurons()
        self.proj_conv = nn.Sequential(*conv_norm(4 * dim, dim, 1))

    def forward(self, x_seq: Tensor) -> Tensor:
        spikes = self.input_spike(x_seq)
        q = self._tokens(self.q_spike(self.q_conv(spikes)))
        k = self._tokens(self.k_spike(self.k_conv(spikes)))
        v = self._tokens(self.v_spike(self.v_conv(spikes)))
        # a product of two trains is no train of products: only Q stays spread out
        k = self.k_spike.spread(self.k_spike.collect(k))
        v = self.v_spike.spread(self.v_spike.collect(v))
        mixed = self.mix(q, k, v).flatten(2, 3)
        return self.proj_conv(self.attn_spike(mixed.unflatten(-1, x_seq.shape[-2:])))

    def _tokens(self, x_seq: Tensor) -> Tensor:
        return x_seq.flatten(3).unflatten(2, (self.num_heads, -1))


class _Residual(nn.Sequential):
    """Branches, each added to its input."""

    def forward(self, input: Tensor) -> Tensor:
        for branch in self:
            input = input + branch(input)
        return input


def _convolutions(dim: int, *, mlp_ratio: float, neurons: Neurons) -> nn.Module:
    mlp = ConvMLP(dim, mlp_ratio, neurons, kernel_size=3, bias=False)
    return _Residual(_SepConv(dim, 7, neurons), mlp)


def _block(dim: int, *, num_heads: int, mlp_ratio: float, neurons: Neurons) -> nn.Module:
    attention = _WideAttention(dim, num_heads, neurons)
    return _Residual(_SepConv(dim, 3, neurons), attention, ConvMLP(dim, mlp_ratio, neurons))


def _downsample(cin: int, cout: int, neurons: Neurons, stride: int = 2) -> nn.Module:
    return nn.Sequential(neurons(), *conv_norm(cin, cout, stride=stride, bias=True))


class ESpikeFormer(SpikingTransformer):
    """E-SpikeFormer: `[N, C, H, W]` or `[T, N, C, H, W]` to scores `[T, N, classes]`.

    Args:
        T: time steps of an image.
        in_channels: channels of the input, 2 for events.
        num_classes: outputs of the last layer.
        embed_dims: channels of the four stages, the first an even number.
        num_heads: heads of the attention; divides the channels of the last two stages.
        depths: blocks of the last two stages.
        mlp_ratio: width of the hidden layer of the MLP, in channels.
        levels: D, the largest number of spikes of a neuron in a step.
        small_images: keep the size in the stem and the first stage (patches of 4 pixels, not 16).
        output: `'steps'` (all time steps), `'mean'` over time or the `'last'` step.
        **kwargs: more arguments of the neuron, :class:`sj_models.spike_firing.SpikeFiring`.

    Raises:
        TypeError: arguments that the neuron does not take.
        ValueError: a number out of range.

    Example:
        >>> import torch
        >>> net = ESpikeFormer(embed_dims=(8, 8, 16, 16), num_heads=2, depths=(1, 1), num_classes=5)
        >>> net(torch.rand(3, 3, 32, 32)).shape   # T=1, N=3
        torch.Size([1, 3, 5])
    """

    first_layers = ("stem.0",)

    def __init__(
        self,
        T: int = 1,
        in_channels: int = 3,
        num_classes: int = 1000,
        embed_dims: Sequence[int] = (64, 128, 256, 360),
        num_heads: int = 8,
        depths: Sequence[int] = (6, 2),
        mlp_ratio: float = 4.0,
        levels: int = 4,
        *,
        small_images: bool = False,
        output: Output = "steps",
        **kwargs: Any,
    ) -> None:
        all_positive("ESpikeFormer", 4, embed_dims=embed_dims)
        all_positive("ESpikeFormer", 2, depths=depths)
        first, second, third, last = embed_dims
        super().__init__(T, in_channels, output, embed_dims=(first, 2))
        self.levels = levels
        neurons = Neurons(type(self), SpikeFiring, {"levels": levels, **kwargs})
        stride = 1 if small_images else 2
        convolutions = partial(_convolutions, mlp_ratio=mlp_ratio, neurons=neurons)
        block = partial(_block, num_heads=num_heads, mlp_ratio=mlp_ratio, neurons=neurons)
        self.stem = nn.Sequential(
            *conv_norm(in_channels, first // 2, 7, stride=stride, bias=True),
            convolutions(first // 2),
        )
        self.stage1 = nn.Sequential(
            _downsample(first // 2, first, neurons, stride), convolutions(first)
        )
        self.stage2 = nn.Sequential(
            _downsample(first, second, neurons), convolutions(second), convolutions(second)
        )
        self.stage3 = nn.Sequential(
            _downsample(second, third, neurons), *(block(third) for _ in range(depths[0]))
        )
        self.stage4 = nn.Sequential(
            _downsample(third, last, neurons, 1), *(block(last) for _ in range(depths[1]))
        )
        self.add_head(
            last, num_classes, SpikeFiring(**{"levels": levels, **kwargs, "amplitude": 1.0})
        )

    def features(self, x_seq: Tensor) -> Tensor:
        x_seq = self.stage2(self.stage1(self.stem(x_seq)))
        return self.stage4(self.stage3(x_seq))

    def spike_driven(self, enabled: bool = True) -> ESpikeFormer:
        """Let the neurons pass on trains of spikes (True) or whole numbers; returns the model.

        The scores are the same up to rounding. For inference: there is no gradient through trains.
        """
        for module in self.modules():
            if isinstance(module, SpikeFiring):
                module.spike_driven = enabled
        return self

    def forward(self, x: Tensor) -> Tensor:
        firing: Any = self.head_lif
        y = self.features(firing.spread(self.time_axis(x))).flatten(3).mean(3)
        return read_out(firing.collect(self.head(firing(y))), self.output)


e_spikeformer_5m = sized(
    ESpikeFormer,
    "e_spikeformer_5m",
    "E-SpikeFormer of 5 million parameters.",
    embed_dims=(32, 64, 128, 192),
)
e_spikeformer_10m = sized(
    ESpikeFormer,
    "e_spikeformer_10m",
    "E-SpikeFormer of 10 million parameters.",
    embed_dims=(48, 96, 192, 240),
)
e_spikeformer_19m = sized(
    ESpikeFormer,
    "e_spikeformer_19m",
    "E-SpikeFormer of 19 million parameters.",
    embed_dims=(64, 128, 256, 360),
)
