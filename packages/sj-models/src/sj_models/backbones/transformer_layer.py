"""The encoder layer of a vision transformer.

    x = x + g1 attention(norm(x))        attention = softmax(Q K^T / sqrt(d) + bias) V
    x = x + g2 mlp(norm(x))              g1, g2: layer scale, 1 unless asked for

Tokens are `[N, L, D]`.

Sources: Dosovitskiy et al., "An image is worth 16x16 words", ICLR 2021; Touvron et al., "Going
deeper with image transformers", ICCV 2021 (layer scale).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..base_module import BaseModule
from ..layers_from_config import Config, build_activation, build_norm_layer
from .drop_path import DropPath

__all__ = ["FFN", "LAYER_NORM", "LayerScale", "MultiheadAttention", "TransformerEncoderLayer"]

LAYER_NORM: Config = {"type": "LN", "eps": 1e-6}
GELU: Config = {"type": "GELU"}


class LayerScale(nn.Module):
    """A learnt factor for each channel of `[N, L, D]`, at first the same for all."""

    def __init__(self, dim: int, scale: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((dim,), scale))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.weight


def layer_scale(dim: int, scale: float) -> nn.Module:
    """A layer scale, or the identity where `scale` is 0."""
    return LayerScale(dim, scale) if scale > 0 else nn.Identity()


class MultiheadAttention(nn.Module):
    """Self-attention on `[N, L, D]`.

    Args:
        embed_dims: D.
        num_heads: heads; divides D.
        attn_drop_rate: dropout of the attention weights.
        drop_rate: dropout of the output.
        qkv_bias: whether the projections of query, key and value have a bias.
        layer_scale_init_value: initial layer scale; 0 for none.

    Raises:
        ValueError: `num_heads` does not divide `embed_dims`.
    """

    def __init__(
        self,
        embed_dims: int,
        num_heads: int,
        *,
        attn_drop_rate: float = 0.0,
        drop_rate: float = 0.0,
        qkv_bias: bool = True,
        layer_scale_init_value: float = 0.0,
    ) -> None:
        super().__init__()
        if num_heads < 1 or embed_dims % num_heads:
            raise ValueError(
                f"num_heads must divide embed_dims, got {num_heads} heads of {embed_dims} dims"
            )
        self.embed_dims, self.num_heads = embed_dims, num_heads
        self.attn_drop_rate = attn_drop_rate
        self.qkv = nn.Linear(embed_dims, 3 * embed_dims, bias=qkv_bias)
        self.proj = nn.Linear(embed_dims, embed_dims)
        self.proj_drop = nn.Dropout(drop_rate)
        self.gamma1 = layer_scale(embed_dims, layer_scale_init_value)

    def project(self, x: Tensor) -> Tensor:
        """Queries, keys and values `[N, L, 3 D]`."""
        return self.qkv(x)

    def forward(self, x: Tensor, bias: Tensor | None = None) -> Tensor:
        """`bias` `[heads, L, L]` is added to the attention weights before the softmax."""
        qkv = self.project(x).unflatten(2, (3, self.num_heads, -1))
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        dropout = self.attn_drop_rate if self.training else 0.0
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=bias, dropout_p=dropout)
        return self.gamma1(self.proj_drop(self.proj(mixed.transpose(1, 2).flatten(2))))


class FFN(nn.Module):
    """Linear layers with an activation between them, on `[N, L, D]`.

    Args:
        embed_dims: D.
        feedforward_channels: width of the hidden layers.
        num_fcs: linear layers, at least 2.
        drop_rate: dropout after each of them.
        act_cfg: activation.
        layer_scale_init_value: initial layer scale; 0 for none.

    Raises:
        ValueError: fewer than 2 layers.
    """

    def __init__(
        self,
        embed_dims: int,
        feedforward_channels: int,
        *,
        num_fcs: int = 2,
        drop_rate: float = 0.0,
        act_cfg: Config = GELU,
        layer_scale_init_value: float = 0.0,
    ) -> None:
        super().__init__()
        if num_fcs < 2:
            raise ValueError(f"FFN: num_fcs must be at least 2, got {num_fcs}")
        widths = [embed_dims] + [feedforward_channels] * (num_fcs - 1)
        hidden = [
            nn.Sequential(nn.Linear(a, b), build_activation(act_cfg), nn.Dropout(drop_rate))
            for a, b in itertools.pairwise(widths)
        ]
        last = nn.Linear(feedforward_channels, embed_dims)
        self.layers = nn.Sequential(*hidden, last, nn.Dropout(drop_rate))
        self.gamma2 = layer_scale(embed_dims, layer_scale_init_value)

    def linears(self) -> list[nn.Linear]:
        """The linear layers from first to last."""
        return [module for module in self.layers.modules() if isinstance(module, nn.Linear)]

    def forward(self, x: Tensor) -> Tensor:
        return self.gamma2(self.layers(x))


class TransformerEncoderLayer(BaseModule):
    """Attention and MLP, each after a norm and added to the tokens `[N, L, D]`.

    Args:
        embed_dims: D.
        num_heads: heads of the attention; divides D.
        feedforward_channels: hidden width of the MLP.
        drop_rate: dropout in the MLP and after the attention.
        attn_drop_rate: dropout of the attention weights.
        drop_path_rate: probability of leaving out a branch for a sample.
        num_fcs: linear layers of the MLP.
        qkv_bias: whether the projections of query, key and value have a bias.
        act_cfg: activation of the MLP.
        norm_cfg: norm before each branch.
        layer_scale_init_value: initial factor of the branches; 0 for none.
        init_cfg: see :class:`BaseModule`.
    """

    attention: Callable[..., nn.Module] = MultiheadAttention

    def __init__(
        self,
        embed_dims: int,
        num_heads: int,
        feedforward_channels: int,
        *,
        drop_rate: float = 0.0,
        attn_drop_rate: float = 0.0,
        drop_path_rate: float = 0.0,
        num_fcs: int = 2,
        qkv_bias: bool = True,
        act_cfg: Config = GELU,
        norm_cfg: Config = LAYER_NORM,
        layer_scale_init_value: float = 0.0,
        init_cfg: Config | list[Config] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self.ln1 = build_norm_layer(norm_cfg, embed_dims)[1]
        self.attn = self.attention(
            embed_dims,
            num_heads,
            attn_drop_rate=attn_drop_rate,
            drop_rate=drop_rate,
            qkv_bias=qkv_bias,
            layer_scale_init_value=layer_scale_init_value,
        )
        self.ln2 = build_norm_layer(norm_cfg, embed_dims)[1]
        self.ffn = FFN(
            embed_dims,
            feedforward_channels,
            num_fcs=num_fcs,
            drop_rate=drop_rate,
            act_cfg=act_cfg,
            layer_scale_init_value=layer_scale_init_value,
        )
        self.drop_path = DropPath(drop_path_rate)

    def init_own(self) -> None:
        """Xavier-uniform weights and small random biases for the MLP."""
        for linear in self.ffn.linears():
            nn.init.xavier_uniform_(linear.weight)
            nn.init.normal_(linear.bias, std=1e-6)

    def forward(self, x: Tensor, bias: Tensor | None = None) -> Tensor:
        x = x + self.drop_path(self.attn(self.ln1(x), bias))
        return x + self.drop_path(self.ffn(self.ln2(x)))
