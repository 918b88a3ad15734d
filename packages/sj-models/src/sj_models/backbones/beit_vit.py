"""The vision transformer of BEiT: relative positions, layer scale, masked tokens.

    attention   softmax(Q K^T / sqrt(d) + bias[offset of the two patches])      no bias of the keys
    masking     x (1 - m) + token m, before the cls token and the positions

With `neuron=` there is no softmax to add a bias to, and batch normalisation sets the scale of each
branch: positions are absolute, and there is no layer scale.

Source: Bao, Dong, Piao, Wei, "BEiT: BERT pre-training of image transformers", ICLR 2022.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Unpack

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..neurons import NeuronSpec
from .transformer_layer import MultiheadAttention, TransformerEncoderLayer
from .vision_transformer import VisionTransformer, ViTOptions

__all__ = ["BEiTPretrainViT", "BEiTViT", "RelativePositionBias"]


class RelativePositionBias(nn.Module):
    """A learnt number for each head and offset between two patches, and three for the cls token.

    Args:
        window_size: height h and width w of the grid of patches.
        num_heads: heads of the attention.

    Calling it gives `[heads, 1 + h w, 1 + h w]`.
    """

    relative_position_index: Tensor

    def __init__(self, window_size: tuple[int, int], num_heads: int) -> None:
        super().__init__()
        height, width = window_size
        offsets = (2 * height - 1) * (2 * width - 1)
        self.relative_position_bias_table = nn.Parameter(torch.zeros(offsets + 3, num_heads))
        rows = torch.arange(height).repeat_interleave(width)
        cols = torch.arange(width).repeat(height)
        down = rows[:, None] - rows + height - 1
        right = cols[:, None] - cols + width - 1
        index = torch.empty(rows.numel() + 1, rows.numel() + 1, dtype=torch.long)
        index[1:, 1:] = down * (2 * width - 1) + right
        index[0, :] = offsets  # cls to patch, patch to cls, cls to cls
        index[:, 0] = offsets + 1
        index[0, 0] = offsets + 2
        self.register_buffer("relative_position_index", index)

    def forward(self) -> Tensor:
        return self.relative_position_bias_table[self.relative_position_index].permute(2, 0, 1)


class BEiTAttention(MultiheadAttention):
    """Attention whose queries and values have a bias, the keys none."""

    q_bias: nn.Parameter | None
    v_bias: nn.Parameter | None

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
        super().__init__(
            embed_dims,
            num_heads,
            attn_drop_rate=attn_drop_rate,
            drop_rate=drop_rate,
            qkv_bias=False,
            layer_scale_init_value=layer_scale_init_value,
        )
        for name in ("q_bias", "v_bias"):
            bias = nn.Parameter(torch.zeros(embed_dims)) if qkv_bias else None
            self.register_parameter(name, bias)

    def project(self, x: Tensor) -> Tensor:
        if self.q_bias is None or self.v_bias is None:
            return self.qkv(x)
        bias = torch.cat((self.q_bias, torch.zeros_like(self.q_bias), self.v_bias))
        return F.linear(x, self.qkv.weight, bias)


class BEiTLayer(TransformerEncoderLayer):
    """An encoder layer whose layer scales are its own parameters `gamma_1` and `gamma_2` `[D]`.

    Args:
        embed_dims, num_heads, feedforward_channels: as in :class:`TransformerEncoderLayer`.
        layer_scale_init_value: initial layer scale; 0 for none.
        window_size: grid of patches, for relative positions of this layer alone.
        **options: further arguments of :class:`TransformerEncoderLayer`.
    """

    attention = BEiTAttention
    gamma_1: nn.Parameter | None
    gamma_2: nn.Parameter | None

    def __init__(
        self,
        embed_dims: int,
        num_heads: int,
        feedforward_channels: int,
        *,
        layer_scale_init_value: float = 0.0,
        window_size: tuple[int, int] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(embed_dims, num_heads, feedforward_channels, **options)
        for name in ("gamma_1", "gamma_2"):
            scale = torch.full((embed_dims,), layer_scale_init_value)
            parameter = nn.Parameter(scale) if layer_scale_init_value > 0 else None
            self.register_parameter(name, parameter)
        self.rel_pos_bias = None
        if window_size is not None:
            self.rel_pos_bias = RelativePositionBias(window_size, num_heads)

    def forward(self, x: Tensor, bias: Tensor | None = None) -> Tensor:
        if self.rel_pos_bias is not None:
            own = self.rel_pos_bias()
            bias = own if bias is None else own + bias
        x = x + self.drop_path(_scaled(self.attn(self.ln1(x), bias), self.gamma_1))
        return x + self.drop_path(_scaled(self.ffn(self.ln2(x)), self.gamma_2))


def _scaled(x: Tensor, gamma: Tensor | None) -> Tensor:
    return x if gamma is None else x * gamma


class BEiTViT(VisionTransformer):
    """Vision transformer with relative positions and layer scale.

    Args:
        arch, img_size, patch_size: see :class:`VisionTransformer`.
        use_abs_pos_emb: absolute positions; if None, only where spiking.
        use_rel_pos_bias: relative positions of each layer; if None, where neither spiking nor
            shared.
        use_shared_rel_pos_bias: relative positions that all layers share.
        layer_scale_init_value: initial factor of the branches; 0.1, or none if spiking, if None.
        final_norm: norm, or neuron, after the last layer.
        out_type: see :class:`VisionTransformer`.
        neuron: None for the ANN | class | name | config.
        **options: further arguments of :class:`VisionTransformer`.

    Raises:
        ValueError: relative positions or layer scale with `neuron`, or relative positions without
            cls token; on a call, another grid of patches than relative positions are made for.
    """

    def __init__(
        self,
        arch: str | Mapping[str, int] = "base",
        img_size: int | Sequence[int] = 224,
        patch_size: int | Sequence[int] = 16,
        *,
        use_abs_pos_emb: bool | None = None,
        use_rel_pos_bias: bool | None = None,
        use_shared_rel_pos_bias: bool = False,
        layer_scale_init_value: float | None = None,
        final_norm: bool = False,
        out_type: str = "avg_featmap",
        neuron: NeuronSpec | None = None,
        **options: Unpack[ViTOptions],
    ) -> None:
        ann = neuron is None
        if use_rel_pos_bias is None:
            use_rel_pos_bias = ann and not use_shared_rel_pos_bias
        if layer_scale_init_value is None:
            layer_scale_init_value = 0.1 if ann else 0.0
        self._relative, self._shared = use_rel_pos_bias, use_shared_rel_pos_bias
        super().__init__(
            arch,
            img_size,
            patch_size,
            out_type=out_type,
            final_norm=final_norm,
            layer_scale_init_value=layer_scale_init_value,
            neuron=neuron,
            **options,
        )
        if not (use_abs_pos_emb or (use_abs_pos_emb is None and self.spiking)):
            self.pos_embed = None
        self.rel_pos_bias = None
        if use_shared_rel_pos_bias:
            heads = self.arch_settings["num_heads"]
            self.rel_pos_bias = RelativePositionBias(self.patch_resolution, heads)

    def encode(self, x: Tensor, resolution: tuple[int, int]) -> tuple[Tensor, ...]:
        if (self._relative or self._shared) and resolution != self.patch_resolution:
            raise ValueError(
                f"{type(self).__name__}: relative positions are made for a grid of "
                f"{self.patch_resolution} patches, got {resolution}; build it with another img_size"
            )
        return super().encode(x, resolution)

    def run_layer(self, index: int, x: Tensor) -> Tensor:
        if self.spiking:
            return self.layers[index](x)
        return self.layers[index](x, None if self.rel_pos_bias is None else self.rel_pos_bias())

    def _check(self, for_anns: Any) -> None:
        super()._check(for_anns)
        if (self._relative or self._shared) and (self.spiking or not self.with_cls_token):
            raise ValueError(
                f"{type(self).__name__}: relative positions need an attention with softmax and a "
                "cls token; set use_rel_pos_bias=False, use_shared_rel_pos_bias=False and "
                "use_abs_pos_emb=True"
            )

    def _make_ann_layer(
        self, dims: int, num_heads: int, hidden: int, options: dict[str, Any]
    ) -> nn.Module:
        window = self.patch_resolution if self._relative else None
        return BEiTLayer(dims, num_heads, hidden, window_size=window, **options)


class BEiTPretrainViT(BEiTViT):
    """BEiT's transformer for pre-training: masked patches are replaced by a learnt token.

    Args:
        arch, img_size, patch_size: see :class:`VisionTransformer`.
        use_abs_pos_emb: absolute positions; if None, only where spiking.
        use_rel_pos_bias: relative positions of each layer.
        use_shared_rel_pos_bias: relative positions that all layers share; if None, unless spiking.
        layer_scale_init_value: initial factor of the branches; 0.1, or none if spiking, if None.
        final_norm: norm, or neuron, after the last layer.
        out_type: see :class:`VisionTransformer`.
        neuron: None for the ANN | class | name | config.
        **options: further arguments of :class:`VisionTransformer`.
    """

    def __init__(
        self,
        arch: str | Mapping[str, int] = "base",
        img_size: int | Sequence[int] = 224,
        patch_size: int | Sequence[int] = 16,
        *,
        use_abs_pos_emb: bool | None = None,
        use_rel_pos_bias: bool = False,
        use_shared_rel_pos_bias: bool | None = None,
        layer_scale_init_value: float | None = None,
        final_norm: bool = True,
        out_type: str = "raw",
        neuron: NeuronSpec | None = None,
        **options: Unpack[ViTOptions],
    ) -> None:
        shared = neuron is None if use_shared_rel_pos_bias is None else use_shared_rel_pos_bias
        super().__init__(
            arch,
            img_size,
            patch_size,
            use_abs_pos_emb=use_abs_pos_emb,
            use_rel_pos_bias=use_rel_pos_bias,
            use_shared_rel_pos_bias=shared,
            layer_scale_init_value=layer_scale_init_value,
            final_norm=final_norm,
            out_type=out_type,
            neuron=neuron,
            **options,
        )
        self.mask_token = nn.Parameter(torch.zeros(1, 1, self.embed_dims))

    def init_own(self) -> None:
        """Small tokens; later layers start with smaller output projections."""
        super().init_own()
        for token in (self.cls_token, self.mask_token):
            if token is not None:
                nn.init.trunc_normal_(token, std=0.02)
        if self.spiking:  # batch normalisation behind the projections undoes any factor
            return
        for number, layer in enumerate(self.layers, start=1):
            parts: Any = layer
            for linear in (parts.attn.proj, parts.ffn.linears()[-1]):
                linear.weight.data.div_((2.0 * number) ** 0.5)

    def forward(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, x: Tensor, mask: Tensor | None = None
    ) -> tuple[Tensor, ...]:
        """Features with masked patches.

        Args:
            x: images `[N, C, H, W]`, or `[T, N, C, H, W]` if spiking.
            mask: `[N, h, w]` or `[N, L]`, true or 1 at the patches to replace, at all time steps;
                None for none.

        Raises:
            TypeError: a mask that is no tensor.
            ValueError: a mask of another shape.
        """
        if mask is None:
            return super().forward(x)
        x = self.check_input(x)
        resolution = self.patch_embed.resolution((x.shape[-2], x.shape[-1]))
        length = resolution[0] * resolution[1]
        if not isinstance(mask, Tensor):
            raise TypeError(f"{type(self).__name__}: mask must be a tensor or None, got {mask!r}")
        hidden = mask.flatten(1).to(x.dtype)
        if hidden.shape != (x.shape[-4], length):
            raise ValueError(
                f"{type(self).__name__}: expected a mask {(x.shape[-4], *resolution)} or "
                f"{(x.shape[-4], length)}, got {tuple(mask.shape)}"
            )
        if self.spiking:
            tokens = self.patch_embed(x, (1 - hidden).unflatten(1, resolution))[0]
        else:
            tokens = self.patch_embed(x)[0]
        weight = hidden[:, :, None]
        tokens = self.add_cls_token(tokens * (1 - weight) + self.mask_token * weight)
        return self.encode(self.add_positions(tokens, resolution), resolution)
