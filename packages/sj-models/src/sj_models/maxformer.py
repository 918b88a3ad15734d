"""Max-Former: a transformer of spikes that keeps high frequencies by pooling and local mixing.

    stem       strided convolutions (or none for CIFAR), then stages that max-pool behind a norm
    stage 1    depth-wise convolution 7x7 and MLP             (CIFAR: MLP alone)
    stage 2    depth-wise convolution 5x5 and MLP             (CIFAR: 3x3)
    stage 3    spiking self-attention (a head for 64 channels; CIFAR: 8 heads) and MLP
    head       mean over places, neuron, linear, per time step

Maps [T, N, C, H, W] of currents with membrane shortcuts: every branch begins with a neuron, except
the attention for ImageNet-sized images, which ends in one.

Source: Fang et al., "Spiking transformers need high frequency information", NeurIPS 2025 (arXiv
2505.18608).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from .classifier import all_positive
from .neurons import NeuronSpec
from .output import Output
from .transformer_parts import (
    ConvMLP,
    MembraneSelfAttention,
    Neurons,
    SpikingSelfAttention,
    SpikingTransformer,
    TransformerBlock,
    conv_norm,
    pooling,
    sized,
)

__all__ = ["MaxFormer", "maxformer_10_384", "maxformer_cifar"]


class _Embed(nn.Module):
    """Images to currents of a quarter of their size."""

    def __init__(self, in_channels: int, width: int, neurons: Neurons) -> None:
        super().__init__()
        half = width // 2
        self.conv1, self.bn1 = conv_norm(in_channels, half, stride=2, bias=True)
        self.lif1 = neurons()
        self.conv2, self.bn2 = conv_norm(half, width, stride=2, bias=True)
        self.lif2 = neurons()
        self.conv3, self.bn3 = conv_norm(width, width, bias=True)
        self.shortcut = nn.Sequential(*conv_norm(half, width, 1, stride=2, bias=True))

    def forward(self, x_seq: Tensor) -> Tensor:
        spikes = self.lif1(self.bn1(self.conv1(x_seq)))
        y = self.lif2(self.bn2(self.conv2(spikes)))
        return self.bn3(self.conv3(y)) + self.shortcut(spikes)


class _SmallEmbed(nn.Module):
    """Images to currents of their size."""

    def __init__(self, in_channels: int, width: int, neurons: Neurons) -> None:
        super().__init__()
        half = width // 2
        self.conv, self.bn = conv_norm(in_channels, half)
        self.branch = nn.Sequential(neurons(), *conv_norm(half, width))
        self.shortcut = nn.Sequential(neurons(), *conv_norm(half, width, 1))

    def forward(self, x_seq: Tensor) -> Tensor:
        x_seq = self.bn(self.conv(x_seq))
        return self.branch(x_seq) + self.shortcut(x_seq)


class _MaxEmbed(nn.Module):
    """Currents of one stage to those of the next, half as high and wide."""

    def __init__(self, cin: int, width: int, neurons: Neurons, bias: bool) -> None:
        super().__init__()
        self.conv1, self.bn1 = conv_norm(cin, width, bias=bias)
        self.lif1 = neurons()
        self.pool = pooling()
        self.conv2, self.bn2 = conv_norm(width, width, bias=bias)
        self.lif2 = neurons()
        self.shortcut = nn.Sequential(*conv_norm(cin, width, 1, bias=bias), pooling())

    def forward(self, x_seq: Tensor) -> Tensor:
        spikes = self.lif1(x_seq)
        shortcut = self.shortcut(spikes)
        y = self.lif2(self.pool(self.bn1(self.conv1(spikes))))
        return self.bn2(self.conv2(y)) + shortcut


class _ResidualMLP(ConvMLP):
    def forward(self, x_seq: Tensor) -> Tensor:
        return x_seq + super().forward(x_seq)


class _DepthwiseBlock(nn.Module):
    """Depth-wise convolution and MLP, each added to its input."""

    def __init__(self, dim: int, kernel_size: int, mlp_ratio: float, neurons: Neurons) -> None:
        super().__init__()
        self.lif = neurons()
        self.dwconv, self.bn = conv_norm(dim, dim, kernel_size, groups=dim, bias=True)
        self.mlp = _ResidualMLP(dim, mlp_ratio, neurons)

    def forward(self, x_seq: Tensor) -> Tensor:
        return self.mlp(x_seq + self.bn(self.dwconv(self.lif(x_seq))))


def _local_block(
    dim: int, kernel_size: int | None, mlp_ratio: float, neurons: Neurons
) -> nn.Module:
    if kernel_size is None:
        return _ResidualMLP(dim, mlp_ratio, neurons)
    return _DepthwiseBlock(dim, kernel_size, mlp_ratio, neurons)


class MaxFormer(SpikingTransformer):
    """Max-Former: `[N, C, H, W]` or `[T, N, C, H, W]` to scores `[T, N, classes]`.

    Args:
        T: time steps of an image.
        in_channels: channels of the input, 2 for events.
        num_classes: outputs of the last layer.
        embed_dims: channels D of the last stage, a multiple of 8 and of its heads: one for every
            64 channels, or 8 for small images.
        depths: blocks of the three stages.
        mlp_ratio: width of the hidden layer of the MLP, in channels.
        spiking_neuron: neuron class, called for each site with `kwargs`, its name or its config;
            LIF with tau 2 and detached reset if `None`. In the attention its threshold is 0.5.
        cifar: the network for small images.
        small_images: the same as `cifar`.
        membrane_attention: begin the attention with a neuron, as the authors do, instead of ending
            it with one, as SpikingJelly does for large images; `cifar` if `None`.
        output: `'steps'` (all time steps), `'mean'` over time or the `'last'` step.
        **kwargs: arguments of the neuron.

    Raises:
        TypeError: arguments that the neuron does not take.
        ValueError: a number out of range, an unknown neuron.

    Example:
        >>> import torch
        >>> net = MaxFormer(2, embed_dims=16, depths=(1, 1, 1), num_classes=5)
        >>> net(torch.rand(3, 3, 32, 32)).shape   # N=3
        torch.Size([2, 3, 5])
    """

    def __init__(
        self,
        T: int = 4,
        in_channels: int = 3,
        num_classes: int = 1000,
        embed_dims: int = 384,
        depths: Sequence[int] = (1, 2, 7),
        mlp_ratio: float = 4.0,
        spiking_neuron: NeuronSpec | None = None,
        cifar: bool = False,
        *,
        small_images: bool = False,
        membrane_attention: bool | None = None,
        output: Output = "steps",
        **kwargs: Any,
    ) -> None:
        super().__init__(T, in_channels, output, embed_dims=(embed_dims, 8))
        all_positive("MaxFormer", 3, depths=depths)
        small = cifar or small_images
        self.first_layers = ("patch_embed1.conv" if small else "patch_embed1.conv1",)
        neurons = Neurons(type(self), spiking_neuron, kwargs)
        widths = embed_dims // 4, embed_dims // 2, embed_dims
        embed = _SmallEmbed if small else _Embed
        self.patch_embed1 = embed(in_channels, widths[0], neurons)
        self.patch_embed2 = _MaxEmbed(widths[0], widths[1], neurons, bias=not small)
        self.patch_embed3 = _MaxEmbed(widths[1], widths[2], neurons, bias=not small)
        membrane = small if membrane_attention is None else membrane_attention
        attention = MembraneSelfAttention if membrane else SpikingSelfAttention
        heads = 8 if small else max(1, embed_dims // 64)
        kernel_sizes = (None, 3) if small else (7, 5)

        def block(stage: int) -> nn.Module:
            if stage == 2:
                mlp = ConvMLP(embed_dims, mlp_ratio, neurons)
                return TransformerBlock(attention(embed_dims, heads, neurons), mlp)
            return _local_block(widths[stage], kernel_sizes[stage], mlp_ratio, neurons)

        self.stage1 = nn.Sequential(*(block(0) for _ in range(depths[0])))
        self.stage2 = nn.Sequential(*(block(1) for _ in range(depths[1])))
        self.stage3 = nn.Sequential(*(block(2) for _ in range(depths[2])))
        self.add_head(embed_dims, num_classes, neurons())

    def features(self, x_seq: Tensor) -> Tensor:
        x_seq = self.stage1(self.patch_embed1(x_seq))
        x_seq = self.stage2(self.patch_embed2(x_seq))
        return self.stage3(self.patch_embed3(x_seq))


maxformer_10_384 = sized(
    MaxFormer,
    "maxformer_10_384",
    "Max-Former-10-384 of the paper.",
    embed_dims=384,
    depths=(1, 2, 7),
)
maxformer_cifar = sized(
    MaxFormer,
    "maxformer_cifar",
    "Max-Former for 32x32 images: 4 blocks, 384 channels in the last stage.",
    num_classes=100,
    embed_dims=384,
    depths=(1, 1, 2),
    cifar=True,
)
