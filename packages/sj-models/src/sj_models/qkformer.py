"""QKFormer: a transformer of spikes in three stages, with attention without a value.

    stem 1      conv, norm, pool, neuron, twice; then neuron(norm(conv)) + 1x1/2 shortcut of the
                first neuron                                                        D / 4 channels
    stem 2, 3   conv, norm, pool, neuron; then neuron(norm(conv)) + 1x1/2 shortcut  D / 2, D
    QK          a = neuron_0.5(sum of Q over channels of a head, or over tokens);  neuron(proj(a K))
    stages      blocks with QK attention, with QK attention, with spiking self-attention

Maps [T, N, C, H, W] between the stages, tokens [T, N, C, L] in them.

Source: Zhou, Zhang, Yu, Ye, Zhou, Huang, Ma, Fan, Zhou, Tian, "QKFormer: hierarchical spiking
transformer using Q-K attention", NeurIPS 2024.
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
    Neurons,
    SpikingSelfAttention,
    SpikingTransformer,
    TokenMixer,
    TransformerBlock,
    conv_norm,
    pooling,
    projection,
    sized,
)

__all__ = ["QKAttention", "QKFormer", "qkformer_10_384", "qkformer_10_512", "qkformer_10_768"]


class QKAttention(TokenMixer):
    """Q says which tokens, or which channels, of K pass; on `[T, N, C, L]`.

    Args:
        dim: channels C.
        num_heads: heads; divides `dim`.
        qka_type: `'token'` or `'channel'`.
        neurons: makes the neurons.

    Raises:
        ValueError: another type, or heads that do not divide the channels.
    """

    def __init__(self, dim: int, num_heads: int, qka_type: str, neurons: Neurons) -> None:
        super().__init__(dim, num_heads)
        if qka_type not in ("token", "channel"):
            raise ValueError(f"QKFormer: qka_type must be 'token' or 'channel', got {qka_type!r}")
        self.qka_type = qka_type
        self.qk_conv_bn = projection(dim, 2 * dim)
        self.qk_lif = neurons()
        self.attn_lif = neurons.attention()
        self.proj_conv_bn = projection(dim, dim)
        self.proj_lif = neurons()

    def forward(self, x_seq: Tensor) -> Tensor:
        q, k = self.per_head(self.qk_lif(self.qk_conv_bn(x_seq)), 2)
        passes = self.attn_lif(q.sum(-2 if self.qka_type == "token" else -1, keepdim=True))
        return self.proj_lif(self.proj_conv_bn((passes * k).flatten(2, 3)))

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, qka_type={self.qka_type}"


def _shortcut(cin: int, cout: int, stride: int, neurons: Neurons) -> nn.Sequential:
    return nn.Sequential(*conv_norm(cin, cout, 1, stride=stride, bias=True), neurons())


class _FirstStem(nn.Module):
    """Images to maps of a quarter of their size, or of their size if `small_images`."""

    def __init__(self, in_channels: int, width: int, neurons: Neurons, small_images: bool) -> None:
        super().__init__()
        half = width // 2
        self.conv1, self.bn1 = conv_norm(in_channels, half, bias=True)
        self.pool1 = nn.Identity() if small_images else pooling()
        self.lif1 = neurons()
        self.conv2, self.bn2 = conv_norm(half, width, bias=True)
        self.pool2 = nn.Identity() if small_images else pooling()
        self.lif2 = neurons()
        self.conv3, self.bn3 = conv_norm(width, width, bias=True)
        self.lif3 = neurons()
        self.shortcut = _shortcut(half, width, 1 if small_images else 2, neurons)

    def forward(self, x_seq: Tensor) -> Tensor:
        spikes = self.lif1(self.pool1(self.bn1(self.conv1(x_seq))))
        y = self.lif2(self.pool2(self.bn2(self.conv2(spikes))))
        return self.lif3(self.bn3(self.conv3(y))) + self.shortcut(spikes)


class _Stem(nn.Module):
    """Maps of one stage to those of the next, half as high and wide."""

    def __init__(self, cin: int, width: int, neurons: Neurons) -> None:
        super().__init__()
        self.conv1, self.bn1 = conv_norm(cin, width, bias=True)
        self.pool = pooling()
        self.lif1 = neurons()
        self.conv2, self.bn2 = conv_norm(width, width, bias=True)
        self.lif2 = neurons()
        self.shortcut = _shortcut(cin, width, 2, neurons)

    def forward(self, x_seq: Tensor) -> Tensor:
        y = self.lif1(self.pool(self.bn1(self.conv1(x_seq))))
        return self.lif2(self.bn2(self.conv2(y))) + self.shortcut(x_seq)


class QKFormer(SpikingTransformer):
    """QKFormer: images `[N, C, H, W]` or sequences `[T, N, C, H, W]` to scores `[T, N, classes]`.

    Args:
        T: time steps of an image.
        in_channels: channels of the input, 2 for events.
        num_classes: outputs of the last layer.
        embed_dims: channels D of the last stage, a multiple of 8.
        num_heads, depths: heads and blocks of the three stages.
        mlp_ratio: width of the hidden layer of the MLP, in channels.
        qka_type: `'token'` or `'channel'`, what the attention of the first two stages selects.
        spiking_neuron: neuron class, called for each site with `kwargs`, its name or its config;
            LIF with tau 2 and detached reset if `None`. In the attention its threshold is 0.5.
        small_images: do not pool in the first stem.
        output: `'steps'` (all time steps), `'mean'` over time or the `'last'` step.
        **kwargs: arguments of the neuron.

    Raises:
        TypeError: arguments that the neuron does not take.
        ValueError: a number out of range, an unknown type.

    Example:
        >>> import torch
        >>> net = QKFormer(2, num_classes=5, embed_dims=16, num_heads=(1, 2, 2), depths=(1, 1, 1))
        >>> net(torch.rand(3, 3, 32, 32)).shape   # N=3
        torch.Size([2, 3, 5])
    """

    first_layers = ("patch_embed1.conv1",)

    def __init__(
        self,
        T: int = 4,
        in_channels: int = 3,
        num_classes: int = 1000,
        embed_dims: int = 384,
        num_heads: Sequence[int] = (3, 6, 6),
        depths: Sequence[int] = (1, 2, 7),
        mlp_ratio: float = 4.0,
        qka_type: str = "token",
        spiking_neuron: NeuronSpec | None = None,
        *,
        small_images: bool = False,
        output: Output = "steps",
        **kwargs: Any,
    ) -> None:
        super().__init__(T, in_channels, output, embed_dims=(embed_dims, 8))
        all_positive("QKFormer", 3, num_heads=num_heads, depths=depths)
        neurons = Neurons(type(self), spiking_neuron, kwargs)
        widths = embed_dims // 4, embed_dims // 2, embed_dims
        self.patch_embed1 = _FirstStem(in_channels, widths[0], neurons, small_images)
        self.patch_embed2 = _Stem(widths[0], widths[1], neurons)
        self.patch_embed3 = _Stem(widths[1], widths[2], neurons)
        for index, (width, heads, depth) in enumerate(zip(widths, num_heads, depths, strict=True)):
            stage = nn.Sequential()
            for _ in range(depth):
                attention = (
                    QKAttention(width, heads, qka_type, neurons)
                    if index < 2
                    else SpikingSelfAttention(width, heads, neurons)
                )
                mlp = ConvMLP(width, mlp_ratio, neurons, maps=False, neuron_first=False)
                stage.append(TransformerBlock(attention, mlp))
            self.add_module(f"stage{index + 1}", stage)
        self.add_head(embed_dims, num_classes)

    def features(self, x_seq: Tensor) -> Tensor:
        for index in (1, 2, 3):
            maps = self.get_submodule(f"patch_embed{index}")(x_seq)
            tokens = self.get_submodule(f"stage{index}")(maps.flatten(3))
            x_seq = tokens.reshape(maps.shape)
        return x_seq


qkformer_10_384 = sized(
    QKFormer,
    "qkformer_10_384",
    "QKFormer-10-384 of the paper.",
    embed_dims=384,
    num_heads=(6, 6, 6),
)
qkformer_10_512 = sized(
    QKFormer,
    "qkformer_10_512",
    "QKFormer-10-512 of the paper.",
    embed_dims=512,
    num_heads=(8, 8, 8),
)
qkformer_10_768 = sized(
    QKFormer,
    "qkformer_10_768",
    "QKFormer-10-768 of the paper.",
    embed_dims=768,
    num_heads=(12, 12, 12),
)
