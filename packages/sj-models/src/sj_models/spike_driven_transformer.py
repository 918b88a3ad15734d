"""Spike-driven Transformer: attention of masks and additions, membrane shortcuts.

    stem     3 x [conv, norm, neuron, (pool)], conv, norm, (pool) = u;  u + norm(conv(neuron(u)))
    SDSA     s = neuron(x);  Q, K, V = neuron(norm(conv(s)))
             a = neuron_0.5(sum over tokens of K * V);  x + norm(conv(Q * a))
    MLP      x + norm(conv(neuron(norm(conv(neuron(x))))))
    head     mean over places, neuron, linear, per time step

Maps [T, N, C, H, W] throughout; the cost of the attention is linear in channels and in places.

Source: Yao, Hu, Zhou, Yuan, Tian, Xu, Li, "Spike-driven transformer", NeurIPS 2023.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from .neurons import NeuronSpec
from .output import Output
from .transformer_parts import (
    ConvMLP,
    Neurons,
    SpikingTransformer,
    TokenMixer,
    TransformerBlock,
    conv_norm,
    pooling,
    sized,
)

__all__ = [
    "SpikeDrivenSelfAttention",
    "SpikeDrivenTransformer",
    "sdt_8_384",
    "sdt_8_512",
    "sdt_8_768",
    "sdt_10_512",
]


class SpikeDrivenSelfAttention(TokenMixer):
    """Spike-driven self-attention on currents `[T, N, C, H, W]`.

    The sum over tokens keeps the channels apart, so the heads change nothing but what is checked.

    Args:
        dim: channels C.
        num_heads: heads; divides `dim`.
        neurons: makes the neurons.
    """

    def __init__(self, dim: int, num_heads: int, neurons: Neurons) -> None:
        super().__init__(dim, num_heads)
        self.shortcut_lif = neurons()
        self.q_conv, self.q_bn = conv_norm(dim, dim, 1)
        self.q_lif = neurons()
        self.k_conv, self.k_bn = conv_norm(dim, dim, 1)
        self.k_lif = neurons()
        self.v_conv, self.v_bn = conv_norm(dim, dim, 1)
        self.v_lif = neurons()
        self.attn_lif = neurons.attention()
        self.proj_conv, self.proj_bn = conv_norm(dim, dim, 1, bias=True)

    def forward(self, x_seq: Tensor) -> Tensor:
        spikes = self.shortcut_lif(x_seq)
        q = self.q_lif(self.q_bn(self.q_conv(spikes)))
        k = self.k_lif(self.k_bn(self.k_conv(spikes)))
        v = self.v_lif(self.v_bn(self.v_conv(spikes)))
        totals = (k * v).sum((-2, -1)).unflatten(2, (self.num_heads, 1, -1))
        mask = self.attn_lif(totals).flatten(2)[..., None, None]
        return self.proj_bn(self.proj_conv(q * mask))


class _Stem(nn.Module):
    """Images to currents `[T, N, D, h, w]`; a digit 1 of `pooling_stat` halves them."""

    def __init__(
        self, in_channels: int, embed_dims: int, pooling_stat: str, neurons: Neurons
    ) -> None:
        super().__init__()
        if len(pooling_stat) != 4 or set(pooling_stat) - {"0", "1"}:
            raise ValueError(
                "SpikeDrivenTransformer: pooling_stat must be four digits 0 or 1 such as '0011', "
                f"got {pooling_stat!r}"
            )
        pools = [[pooling()] if digit == "1" else [] for digit in pooling_stat]
        self.stages = nn.ModuleList()
        for divisor, pool in zip((8, 4, 2), pools, strict=False):
            width = embed_dims // divisor
            stage = nn.Sequential(*conv_norm(in_channels, width, bias=True), neurons(), *pool)
            self.stages.append(stage)
            in_channels = width
        self.final_stage = nn.Sequential(*conv_norm(in_channels, embed_dims, bias=True), *pools[3])
        self.final_lif = neurons()
        self.rpe_conv, self.rpe_bn = conv_norm(embed_dims, embed_dims)

    def forward(self, x_seq: Tensor) -> Tensor:
        for stage in self.stages:
            x_seq = stage(x_seq)
        x_seq = self.final_stage(x_seq)
        return x_seq + self.rpe_bn(self.rpe_conv(self.final_lif(x_seq)))


class SpikeDrivenTransformer(SpikingTransformer):
    """Spike-driven Transformer: `[N, C, H, W]` or `[T, N, C, H, W]` to scores `[T, N, classes]`.

    Args:
        T: time steps of an image.
        in_channels: channels of the input, 2 for events.
        num_classes: outputs of the last layer.
        embed_dims: channels D of a token, a multiple of 8.
        num_heads: heads of the attention; divides `embed_dims`.
        depths: blocks.
        mlp_ratio: width of the hidden layer of the MLP, in D.
        pooling_stat: which of the four stages of the stem halve the image, `'1'` for yes.
        spiking_neuron: neuron class, called for each site with `kwargs`, its name or its config;
            LIF with tau 2 and detached reset if `None`. In the attention its threshold is 0.5.
        small_images: short for `pooling_stat='0011'`.
        output: `'steps'` (all time steps), `'mean'` over time or the `'last'` step.
        **kwargs: arguments of the neuron.

    Raises:
        TypeError: arguments that the neuron does not take.
        ValueError: a number out of range, another `pooling_stat`.

    Example:
        >>> import torch
        >>> net = SpikeDrivenTransformer(2, embed_dims=16, num_heads=2, depths=1, num_classes=5)
        >>> net(torch.rand(3, 3, 32, 32)).shape   # N=3
        torch.Size([2, 3, 5])
    """

    first_layers = ("patch_embed.stages.0.0",)

    def __init__(
        self,
        T: int = 4,
        in_channels: int = 3,
        num_classes: int = 1000,
        embed_dims: int = 384,
        num_heads: int = 8,
        depths: int = 8,
        mlp_ratio: float = 4.0,
        pooling_stat: str = "1111",
        spiking_neuron: NeuronSpec | None = None,
        *,
        small_images: bool = False,
        output: Output = "steps",
        **kwargs: Any,
    ) -> None:
        super().__init__(T, in_channels, output, embed_dims=(embed_dims, 8), depths=(depths, 1))
        neurons = Neurons(type(self), spiking_neuron, kwargs)
        stem_pools = "0011" if small_images else pooling_stat
        self.patch_embed = _Stem(in_channels, embed_dims, stem_pools, neurons)
        self.blocks = nn.Sequential()
        for _ in range(depths):
            attention = SpikeDrivenSelfAttention(embed_dims, num_heads, neurons)
            self.blocks.append(TransformerBlock(attention, ConvMLP(embed_dims, mlp_ratio, neurons)))
        self.add_head(embed_dims, num_classes, neurons())

    def features(self, x_seq: Tensor) -> Tensor:
        return self.blocks(self.patch_embed(x_seq))


sdt_8_384 = sized(
    SpikeDrivenTransformer,
    "sdt_8_384",
    "Spike-driven Transformer 8-384 of the paper.",
    embed_dims=384,
    depths=8,
)
sdt_8_512 = sized(
    SpikeDrivenTransformer,
    "sdt_8_512",
    "Spike-driven Transformer 8-512 of the paper.",
    embed_dims=512,
    depths=8,
)
sdt_10_512 = sized(
    SpikeDrivenTransformer,
    "sdt_10_512",
    "Spike-driven Transformer 10-512 of the paper.",
    embed_dims=512,
    depths=10,
)
sdt_8_768 = sized(
    SpikeDrivenTransformer,
    "sdt_8_768",
    "Spike-driven Transformer 8-768 of the paper.",
    embed_dims=768,
    depths=8,
)
