"""Neck of BEiT v2: a shortcut that makes the class token know the image.

    x'  = layers([class token of the last layer | patches of an early layer])
    y   = patches of x,  y' = patches of x'

The patches of an early layer know little of the image, so that predicting hidden ones from them
works only through the class token.

Source: Peng et al., "BEiT v2: masked image modeling with vector-quantized visual tokenizers",
arXiv:2208.06366.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ..backbones.beit_vit import BEiTLayer
from ..backbones.transformer_layer import LAYER_NORM
from ..base_module import BaseModule
from ..layers_from_config import Config

__all__ = ["BEiTV2Neck"]

_TRUNC_NORMAL: Config = {"type": "TruncNormal", "layer": "Linear", "std": 0.02}


class BEiTV2Neck(BaseModule):
    """Transformer layers on the last class token and early patches.

    Args:
        num_layers: layers of the shortcut, 1 or more.
        embed_dims: D, width of the tokens.
        num_heads: heads of the attention.
        feedforward_channels: hidden width of the MLPs; `None` is 4 D.
        drop_rate: dropout in the layers.
        drop_path_rate: probability of leaving out a branch.
        layer_scale_init_value: initial factor of the branches; 0 for none.
        norm_cfg: norm of the layers.
        init_cfg: see :class:`BaseModule`.

    Raises:
        ValueError: `num_layers` below 1, or tokens that do not fit together.
    """

    def __init__(
        self,
        num_layers: int = 2,
        embed_dims: int = 768,
        num_heads: int = 12,
        feedforward_channels: int | None = None,
        drop_rate: float = 0.0,
        drop_path_rate: float = 0.0,
        layer_scale_init_value: float = 0.1,
        norm_cfg: Config = LAYER_NORM,
        init_cfg: Any = _TRUNC_NORMAL,
    ) -> None:
        super().__init__(init_cfg)
        if num_layers < 1:
            raise ValueError(f"BEiTV2Neck: num_layers must be 1 or more, got {num_layers}")
        self.patch_aggregation = nn.ModuleList(
            BEiTLayer(
                embed_dims,
                num_heads,
                feedforward_channels or 4 * embed_dims,
                drop_rate=drop_rate,
                drop_path_rate=drop_path_rate,
                layer_scale_init_value=layer_scale_init_value,
                norm_cfg=norm_cfg,
            )
            for _ in range(num_layers)
        )

    def forward(
        self,
        inputs: Sequence[Tensor],
        rel_pos_bias: Callable[[], Tensor] | Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Patches of the last layer and of the shortcut, both `[N, L, D]`.

        Args:
            inputs: tokens of an early and of the last layer, `[N, 1 + L, D]` each.
            rel_pos_bias: what the attention adds, `[heads, 1 + L, 1 + L]`, or what makes it.
        """
        if len(inputs) != 2 or inputs[0].shape != inputs[1].shape or inputs[0].dim() != 3:
            shapes = [tuple(tokens.shape) for tokens in inputs]
            raise ValueError(
                "BEiTV2Neck: expected the tokens [N, 1 + L, D] of an early and the last layer, got "
                f"shapes {shapes}"
            )
        early, x = inputs
        bias = rel_pos_bias() if callable(rel_pos_bias) else rel_pos_bias
        shortcut = torch.cat((x[:, :1], early[:, 1:]), 1)
        for layer in self.patch_aggregation:
            shortcut = layer(shortcut, bias)
        return x[:, 1:], shortcut[:, 1:]
