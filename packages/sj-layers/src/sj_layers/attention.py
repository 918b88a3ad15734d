"""Attention over time, channels and places, and spiking attention over tokens.

    TA, CA   scale = sigmoid(MLP(mean) + MLP(max)), over all but time, or all but channels
    SA       scale = sigmoid(conv([mean, max])), over time and channels
    SSA      y = LIF(scale (V K^T) Q), all of Q, K, V spikes: no softmax
    QK       mask = LIF(sum of Q over channels or tokens);  y = mask K

Sources: Yao, Gao, Zhao, Wang, Lin, Yang, Li, "Temporal-wise attention spiking neural networks for
event streams classification", ICCV 2021 (TA); Yao, Zhao, Zhang, Hu, Deng, Tian, Xu, Li, "Attention
spiking neural networks", IEEE TPAMI 2023 (TA, CA and SA together); Zhou, Zhu, He, Wang, Yan, Tian,
Yuan, "Spikformer: when spiking neural network meets transformer", ICLR 2023 (SSA); Zhou, Zhang, Yu,
Ye, Zhou, Huang, Ma, Fan, Zhou, Tian, "QKFormer: hierarchical spiking transformer using Q-K
attention", NeurIPS 2024 (QK).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sj_neurons.base import MultiStepModule
from sj_neurons.neuron import LIFNode

from .torch_layers import BatchNorm1d, Conv1d

__all__ = [
    "ChannelQKAttention",
    "MultiDimensionalAttention",
    "QKAttention",
    "SpikingSelfAttention",
    "TemporalWiseAttention",
    "TokenQKAttention",
]


def _reduced(owner: str, name: str, size: int, reduction: int) -> int:
    if not 1 <= reduction <= size:
        raise ValueError(
            f"{owner}: the reduction of {name} must be from 1 to {size}, got {reduction}"
        )
    return size // reduction


class TemporalWiseAttention(nn.Module, MultiStepModule):
    """Weighs the time steps of `[T, N, C, H, W]` or `[T, N, M]` by what each holds.

    Args:
        T: number of time steps.
        reduction: factor by which the hidden layer is smaller than T.
        dimension: 4 for inputs `[T, N, C, H, W]`, 2 for `[T, N, M]`.

    Raises:
        ValueError: the reduction is larger than T, another dimension, or an input that does not
            fit.
    """

    def __init__(self, T: int, reduction: int = 16, dimension: int = 4) -> None:
        super().__init__()
        hidden = _reduced("TemporalWiseAttention", "T", T, reduction)
        if dimension not in (2, 4):
            raise ValueError(f"TemporalWiseAttention: dimension must be 4 or 2, got {dimension}")
        self.T, self.dimension = T, dimension
        self.step_mode = "m"
        self.sharedMLP = nn.Sequential(
            nn.Linear(T, hidden, bias=False), nn.ReLU(), nn.Linear(hidden, T, bias=False)
        )

    def forward(self, x_seq: Tensor) -> Tensor:
        shape = "[T, N, C, H, W]" if self.dimension == 4 else "[T, N, M]"
        if x_seq.dim() != self.dimension + 1 or x_seq.shape[0] != self.T:
            raise ValueError(
                f"expected x with shape {shape}, T = {self.T}, but got x with shape {x_seq.shape}!"
            )
        steps = x_seq.flatten(2)  # [T, N, M]
        summary = self.sharedMLP(steps.mean(2).t()) + self.sharedMLP(steps.amax(2).t())
        scale = summary.sigmoid().t()
        return x_seq * scale.view(*scale.shape, *(1,) * (x_seq.dim() - 2))


class _AxisAttention(nn.Module):
    """Weighs the first axis after N of `[N, A, B, H, W]`."""

    def __init__(self, size: int, hidden: int) -> None:
        super().__init__()
        self.sharedMLP = nn.Sequential(
            nn.Conv3d(size, hidden, 1, bias=False),
            nn.ReLU(),
            nn.Conv3d(hidden, size, 1, bias=False),
        )

    def forward(self, x: Tensor) -> Tensor:
        dims = (2, 3, 4)
        mean, largest = x.mean(dims, keepdim=True), x.amax(dims, keepdim=True)
        return x * (self.sharedMLP(mean) + self.sharedMLP(largest)).sigmoid()


class _PlaceAttention(nn.Module):
    """Weighs the places of `[N, A, H, W]`."""

    def __init__(self, kernel_size: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 1, kernel_size, padding=kernel_size // 2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        summary = torch.cat((x.mean(1, keepdim=True), x.amax(1, keepdim=True)), 1)
        return x * self.conv(summary).sigmoid()


class MultiDimensionalAttention(nn.Module, MultiStepModule):
    """Attention over time, channels and places of `[T, N, C, H, W]`, one after the other.

    Args:
        T, C: number of time steps and channels.
        reduction_t, reduction_c: factors by which the hidden layers are smaller than T and C.
        kernel_size: of the convolution over places, 3 or 7.

    Raises:
        ValueError: a reduction larger than what it reduces, another kernel size, or an input that
            is not `[T, N, C, H, W]`.
    """

    def __init__(
        self,
        T: int,
        C: int,
        reduction_t: int = 16,
        reduction_c: int = 16,
        kernel_size: int = 3,
    ) -> None:
        super().__init__()
        owner = "MultiDimensionalAttention"
        if kernel_size not in (3, 7):
            raise ValueError(f"{owner}: kernel_size must be 3 or 7, got {kernel_size}")
        self.step_mode = "m"
        self.ta = _AxisAttention(T, _reduced(owner, "T", T, reduction_t))
        self.ca = _AxisAttention(C, _reduced(owner, "C", C, reduction_c))
        self.sa = _PlaceAttention(kernel_size)

    def forward(self, x_seq: Tensor) -> Tensor:
        if x_seq.dim() != 5:
            raise ValueError(
                f"expected x with shape [T, N, C, H, W], but got x with shape {x_seq.shape}!"
            )
        x = self.ta(x_seq.transpose(0, 1))  # [N, T, C, H, W]
        x = self.ca(x.transpose(1, 2)).transpose(1, 2)
        x = self.sa(x.flatten(1, 2)).unflatten(1, x.shape[1:3])  # one map for all steps
        y = x.transpose(0, 1).relu()
        if x_seq.flatten(0, 1).is_contiguous(memory_format=torch.channels_last):
            steps = y.flatten(0, 1).contiguous(memory_format=torch.channels_last)
            y = steps.unflatten(0, y.shape[:2])
        return y


def _projection(width_in: int, width_out: int) -> nn.Sequential:
    """A linear map of the channels of `[T, N, C, L]`, normalised."""
    return nn.Sequential(
        Conv1d(width_in, width_out, 1, bias=False, step_mode="m"),
        BatchNorm1d(width_out, step_mode="m"),
    )


def _lif(backend: str | None, v_threshold: float = 1.0) -> LIFNode:
    return LIFNode(
        tau=2.0, v_threshold=v_threshold, detach_reset=True, step_mode="m", backend=backend
    )


class _TokenMixer(nn.Module, MultiStepModule):
    """Input `[T, N, C, L]` with L tokens of C channels, which the heads share out."""

    def __init__(self, dim: int, num_heads: int) -> None:
        super().__init__()
        if num_heads < 1 or dim % num_heads:
            raise ValueError(
                f"{type(self).__name__}: dim must be a multiple of num_heads, "
                f"got dim={dim} and num_heads={num_heads}"
            )
        self.dim, self.num_heads = dim, num_heads
        self.step_mode = "m"

    def per_head(self, x: Tensor, parts: int) -> tuple[Tensor, ...]:
        """`[T, N, parts C, L]` as `parts` tensors `[T, N, heads, C / heads, L]`."""
        pieces = x.chunk(parts, 2)
        return tuple(piece.unflatten(2, (self.num_heads, -1)) for piece in pieces)

    def check(self, x_seq: Tensor) -> None:
        if x_seq.dim() != 4 or x_seq.shape[2] != self.dim:
            raise ValueError(
                f"expected x with shape [T, N, C={self.dim}, L], but got x with shape "
                f"{x_seq.shape}!"
            )


class SpikingSelfAttention(_TokenMixer):
    """Spiking self-attention on `[T, N, C, L]`; step mode `'m'` only.

    Args:
        dim: number of channels C.
        num_heads: number of heads; divides `dim`.
        backend: backend of the neurons.
    """

    scale = 0.125

    def __init__(self, dim: int, num_heads: int = 8, backend: str | None = None) -> None:
        super().__init__(dim, num_heads)
        self.qkv_conv_bn = _projection(dim, 3 * dim)
        self.qkv_lif = _lif(backend)
        self.attn_lif = _lif(backend, 0.5)
        self.proj_conv_bn = _projection(dim, dim)
        self.proj_lif = _lif(backend)

    def forward(self, x_seq: Tensor) -> Tensor:
        self.check(x_seq)
        q, k, v = self.per_head(self.qkv_lif(self.qkv_conv_bn(x_seq)), 3)
        mixed = (v @ k.transpose(-2, -1)) @ q * self.scale
        return self.proj_lif(self.proj_conv_bn(self.attn_lif(mixed.flatten(2, 3))))

    def extra_repr(self) -> str:
        return f"dim={self.dim}, num_heads={self.num_heads}"


class QKAttention(_TokenMixer):
    """Spiking attention without a value: Q says which tokens or channels of K pass.

    Input `[T, N, C, L]`; step mode `'m'` only.

    Args:
        dim: number of channels C.
        num_heads: number of heads; divides `dim`.
        qka_type: `'token'` to choose tokens, `'channel'` to choose channels.
        backend: backend of the neurons.
    """

    def __init__(
        self, dim: int, num_heads: int = 8, qka_type: str = "token", backend: str | None = None
    ) -> None:
        super().__init__(dim, num_heads)
        if qka_type not in ("token", "channel"):
            raise ValueError(
                f"QKAttention: qka_type must be 'token' or 'channel', got {qka_type!r}"
            )
        self.qka_type = qka_type
        self.qk_conv_bn = _projection(dim, 2 * dim)
        self.qk_lif = _lif(backend)
        self.attn_lif = _lif(backend, 0.5)
        self.proj_conv_bn = _projection(dim, dim)
        self.proj_lif = _lif(backend)

    def forward(self, x_seq: Tensor) -> Tensor:
        self.check(x_seq)
        q, k = self.per_head(self.qk_lif(self.qk_conv_bn(x_seq)), 2)
        mask = self.attn_lif(q.sum(-2 if self.qka_type == "token" else -1, keepdim=True))
        return self.proj_lif(self.proj_conv_bn((mask * k).flatten(2, 3)))

    def extra_repr(self) -> str:
        return f"dim={self.dim}, num_heads={self.num_heads}, qka_type={self.qka_type}"


class TokenQKAttention(QKAttention):
    """:class:`QKAttention` that chooses tokens."""

    def __init__(self, dim: int, num_heads: int = 8, backend: str | None = None) -> None:
        super().__init__(dim, num_heads, "token", backend)


class ChannelQKAttention(QKAttention):
    """:class:`QKAttention` that chooses channels."""

    def __init__(self, dim: int, num_heads: int = 8, backend: str | None = None) -> None:
        super().__init__(dim, num_heads, "channel", backend)
