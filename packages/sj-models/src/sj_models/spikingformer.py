"""Spikingformer: Spikformer with membrane shortcuts; all convolutions but one read spikes.

    stem     conv, norm, then 4 x [neuron, (max-pool), conv, norm]
    block    x = x + SSA(neuron(x));  x = x + MLP(neuron(x)), on currents [T, N, D, H, W]
    head     mean over places, linear, per time step

Source: Zhou, Yu, Zhou, Ma, Zhang, Zhou, Tian, "Spikingformer: spike-driven residual learning for
transformer-based spiking neural network", 2023 (arXiv 2304.11954).
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from .neurons import NeuronSpec
from .output import Output
from .transformer_parts import (
    ConvMLP,
    MembraneSelfAttention,
    Neurons,
    SpikingTransformer,
    TransformerBlock,
    conv_norm,
    pooling,
    sized,
)

__all__ = ["Spikingformer", "spikingformer_8_384", "spikingformer_8_512", "spikingformer_8_768"]


def _tokenizer(
    in_channels: int, embed_dims: int, small_images: bool, neurons: Neurons
) -> nn.Sequential:
    widths = [embed_dims // divisor for divisor in (8, 4, 2, 1, 1)]
    stages = nn.Sequential(nn.Sequential(*conv_norm(in_channels, widths[0])))
    for stage in range(4):
        pool = [] if small_images and stage < 2 else [pooling()]
        stages.append(nn.Sequential(neurons(), *pool, *conv_norm(widths[stage], widths[stage + 1])))
    return stages


class Spikingformer(SpikingTransformer):
    """Spikingformer: `[N, C, H, W]` or `[T, N, C, H, W]` to scores `[T, N, classes]`.

    Args:
        T: time steps of an image.
        in_channels: channels of the input, 2 for events.
        num_classes: outputs of the last layer.
        embed_dims: channels D of a token, a multiple of 8.
        num_heads: heads of the attention; divides `embed_dims`.
        depths: blocks.
        mlp_ratio: width of the hidden layer of the MLP, in D.
        spiking_neuron: neuron class, called for each site with `kwargs`, its name or its config;
            LIF with tau 2 and detached reset if `None`. In the attention its threshold is 0.5.
        small_images: pool twice (patches of 4 pixels) instead of four times (16 pixels).
        output: `'steps'` (all time steps), `'mean'` over time or the `'last'` step.
        **kwargs: arguments of the neuron.

    Raises:
        TypeError: arguments that the neuron does not take.
        ValueError: a number out of range, an unknown neuron.

    Example:
        >>> import torch
        >>> net = Spikingformer(2, embed_dims=16, num_heads=2, depths=1, num_classes=5)
        >>> net(torch.rand(3, 3, 32, 32)).shape   # N=3
        torch.Size([2, 3, 5])
    """

    first_layers = ("patch_embed.0.0",)

    def __init__(
        self,
        T: int = 4,
        in_channels: int = 3,
        num_classes: int = 1000,
        embed_dims: int = 384,
        num_heads: int = 8,
        depths: int = 8,
        mlp_ratio: float = 4.0,
        spiking_neuron: NeuronSpec | None = None,
        *,
        small_images: bool = False,
        output: Output = "steps",
        **kwargs: Any,
    ) -> None:
        super().__init__(T, in_channels, output, embed_dims=(embed_dims, 8), depths=(depths, 1))
        neurons = Neurons(type(self), spiking_neuron, kwargs)
        self.patch_embed = _tokenizer(in_channels, embed_dims, small_images, neurons)
        self.blocks = nn.Sequential()
        for _ in range(depths):
            attention = MembraneSelfAttention(embed_dims, num_heads, neurons)
            self.blocks.append(TransformerBlock(attention, ConvMLP(embed_dims, mlp_ratio, neurons)))
        self.add_head(embed_dims, num_classes)

    def features(self, x_seq: Tensor) -> Tensor:
        return self.blocks(self.patch_embed(x_seq))


spikingformer_8_384 = sized(
    Spikingformer,
    "spikingformer_8_384",
    "Spikingformer-8-384 of the paper.",
    embed_dims=384,
    depths=8,
)
spikingformer_8_512 = sized(
    Spikingformer,
    "spikingformer_8_512",
    "Spikingformer-8-512 of the paper.",
    embed_dims=512,
    depths=8,
)
spikingformer_8_768 = sized(
    Spikingformer,
    "spikingformer_8_768",
    "Spikingformer-8-768 of the paper.",
    embed_dims=768,
    depths=8,
)
