"""Spikformer: a transformer of spikes.

    stem     4 x [conv 3x3, norm, (max-pool), neuron], then x + neuron(norm(conv 3x3(x)))
    block    x = x + SSA(x);  x = x + MLP(x), on tokens [T, N, D, L]
    SSA      Q, K, V = neuron(norm(conv(x)));  neuron(norm(conv(neuron_0.5(0.125 (V K^T) Q))))
    head     mean over the tokens, linear, per time step

Source: Zhou, Zhu, He, Wang, Yan, Tian, Yuan, "Spikformer: when spiking neural network meets
transformer", ICLR 2023.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from .neurons import NeuronSpec
from .output import Output
from .transformer_parts import (
    Neurons,
    SpikingSelfAttention,
    SpikingTransformer,
    TransformerBlock,
    conv_norm,
    mlp_width,
    pooling,
    projection,
    sized,
)

__all__ = [
    "PatchStem",
    "Spikformer",
    "initialise",
    "spikformer_8_384",
    "spikformer_8_512",
    "spikformer_8_768",
    "spikformer_block",
    "spikformer_cifar10",
    "spikformer_s",
    "spikformer_ti",
]


class _ConvNorm(nn.Module):
    def __init__(self, cin: int, cout: int, pool: bool) -> None:
        super().__init__()
        self.block = nn.Sequential(*conv_norm(cin, cout))
        if pool:
            self.block.append(pooling())

    def forward(self, x_seq: Tensor) -> Tensor:
        return self.block(x_seq)


class _ConvNormNeuron(nn.Module):
    def __init__(self, cin: int, cout: int, neurons: Neurons, pool: bool = False) -> None:
        super().__init__()
        self.conv_bn = _ConvNorm(cin, cout, pool)
        self.neuron = neurons()

    def forward(self, x_seq: Tensor) -> Tensor:
        return self.neuron(self.conv_bn(x_seq))


class PatchStem(nn.Module):
    """`[T, N, C, H, W]` to spikes `[T, N, D, H / patch, W / patch]`, places encoded by convolution.

    Args:
        in_channels: channels C.
        embed_dims: channels D, a multiple of 8.
        patch_size: 16, or 4 for small images.
        neurons: makes the neurons.

    Raises:
        ValueError: another patch size.
    """

    def __init__(
        self, in_channels: int, embed_dims: int, patch_size: int, neurons: Neurons
    ) -> None:
        super().__init__()
        if patch_size not in (4, 16):
            raise ValueError(f"Spikformer: patch_size must be 16 or 4, got {patch_size}")
        first_pooled = 0 if patch_size == 16 else 2
        self.stages = nn.Sequential()
        for stage, divisor in enumerate((8, 4, 2, 1)):
            width = embed_dims // divisor
            self.stages.append(
                _ConvNormNeuron(in_channels, width, neurons, pool=stage >= first_pooled)
            )
            in_channels = width
        self.positional_encoding = _ConvNormNeuron(embed_dims, embed_dims, neurons)

    def forward(self, x_seq: Tensor) -> Tensor:
        x_seq = self.stages(x_seq)
        return x_seq + self.positional_encoding(x_seq)


class _MLP(nn.Module):
    def __init__(self, dim: int, mlp_ratio: float, neurons: Neurons) -> None:
        super().__init__()
        hidden = mlp_width(dim, mlp_ratio)
        self.fc1 = projection(dim, hidden)
        self.neuron1 = neurons()
        self.fc2 = projection(hidden, dim)
        self.neuron2 = neurons()

    def forward(self, x_seq: Tensor) -> Tensor:
        return self.neuron2(self.fc2(self.neuron1(self.fc1(x_seq))))


def spikformer_block(
    dim: int, num_heads: int, mlp_ratio: float, neurons: Neurons
) -> TransformerBlock:
    """Spiking self-attention and MLP on tokens `[T, N, D, L]`."""
    return TransformerBlock(
        SpikingSelfAttention(dim, num_heads, neurons), _MLP(dim, mlp_ratio, neurons)
    )


@torch.no_grad()
def initialise(net: nn.Module) -> None:
    """Weights of convolutions and linear layers from N(0, 0.02^2), biases 0."""
    for module in net.modules():
        if isinstance(module, nn.Conv1d | nn.Conv2d | nn.Linear):
            # the papers cut the normal off at 100 standard deviations, which changes nothing
            module.weight.normal_(std=0.02)
            if module.bias is not None:
                module.bias.zero_()


class Spikformer(SpikingTransformer):
    """Spikformer: images `[N, C, H, W]` or sequences `[T, N, C, H, W]` to scores `[T, N, classes]`.

    Args:
        T: time steps of an image.
        in_channels: channels of the input, 2 for events.
        img_size_h, img_size_w: size of the images in pixels, at least one patch; others run too.
        patch_size: 16, or 4 for small images.
        num_classes: outputs of the last layer.
        embed_dims: channels D of a token, a multiple of 8.
        num_heads: heads of the attention; divides `embed_dims`.
        mlp_ratio: width of the hidden layer of the MLP, in D.
        depths: blocks.
        spiking_neuron: neuron class, called for each site with `kwargs`, its name or its config;
            LIF with tau 2 and detached reset if `None`. In the attention its threshold is 0.5.
        small_images: short for `patch_size=4`.
        output: `'steps'` (all time steps), `'mean'` over time or the `'last'` step.
        **kwargs: arguments of the neuron.

    Raises:
        TypeError: arguments that the neuron does not take.
        ValueError: a number out of range, an unknown neuron.

    Example:
        >>> import torch
        >>> net = Spikformer(T=2, embed_dims=16, num_heads=2, depths=1, num_classes=5)
        >>> net(torch.rand(3, 3, 32, 32)).shape   # N=3
        torch.Size([2, 3, 5])
    """

    first_layers = ("patch_embed.stages.0.conv_bn.block.0",)

    def __init__(
        self,
        T: int = 4,
        in_channels: int = 3,
        img_size_h: int = 224,
        img_size_w: int = 224,
        patch_size: int = 16,
        num_classes: int = 1000,
        embed_dims: int = 256,
        num_heads: int = 8,
        mlp_ratio: float = 4.0,
        depths: int = 4,
        spiking_neuron: NeuronSpec | None = None,
        *,
        small_images: bool = False,
        output: Output = "steps",
        **kwargs: Any,
    ) -> None:
        super().__init__(T, in_channels, output, embed_dims=(embed_dims, 8), depths=(depths, 1))
        patch_size = 4 if small_images else patch_size
        if min(img_size_h, img_size_w) < patch_size:
            raise ValueError(
                f"Spikformer: images must be at least one patch of {patch_size} pixels high and "
                f"wide, got {img_size_h} x {img_size_w}"
            )
        neurons = Neurons(type(self), spiking_neuron, kwargs)
        self.patch_embed = PatchStem(in_channels, embed_dims, patch_size, neurons)
        self.blocks = nn.Sequential(
            *(spikformer_block(embed_dims, num_heads, mlp_ratio, neurons) for _ in range(depths))
        )
        self.add_head(embed_dims, num_classes)
        initialise(self)

    def features(self, x_seq: Tensor) -> Tensor:
        return self.blocks(self.patch_embed(x_seq).flatten(3))


spikformer_ti = sized(
    Spikformer,
    "spikformer_ti",
    "Tiny Spikformer: 4 blocks of 256 channels.",
    embed_dims=256,
    num_heads=8,
    depths=4,
)
spikformer_s = sized(
    Spikformer,
    "spikformer_s",
    "Small Spikformer: 6 blocks of 384 channels.",
    embed_dims=384,
    num_heads=12,
    depths=6,
)
spikformer_cifar10 = sized(
    Spikformer,
    "spikformer_cifar10",
    "Spikformer for 32x32 images: 4 blocks of 384 channels, patches of 4 pixels.",
    img_size_h=32,
    img_size_w=32,
    patch_size=4,
    num_classes=10,
    embed_dims=384,
    num_heads=12,
    depths=4,
)
spikformer_8_384 = sized(
    Spikformer,
    "spikformer_8_384",
    "Spikformer-8-384 of the paper.",
    embed_dims=384,
    num_heads=12,
    depths=8,
)
spikformer_8_512 = sized(
    Spikformer,
    "spikformer_8_512",
    "Spikformer-8-512 of the paper.",
    embed_dims=512,
    num_heads=8,
    depths=8,
)
spikformer_8_768 = sized(
    Spikformer,
    "spikformer_8_768",
    "Spikformer-8-768 of the paper.",
    embed_dims=768,
    num_heads=12,
    depths=8,
)
