"""Decoder of a masked autoencoder: from the visible tokens to the pixels of all patches.

    x = W latent;  put a learnt mask token where a patch was hidden;  + position embedding
    y = W' norm(layers(x))                                 without the class token

It is thrown away after pre-training and has no neurons; a latent with a time axis is decoded step
by step, with the same patches hidden at all of them.

Source: He et al., "Masked autoencoders are scalable vision learners", CVPR 2022, arXiv:2111.06377.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ..backbones.position import pair, sincos_position_embedding
from ..backbones.transformer_layer import LAYER_NORM, TransformerEncoderLayer
from ..base_module import BaseModule
from ..layers_from_config import Config, build_norm_layer
from ..time_axis import at_every_step

__all__ = ["MAEPretrainDecoder"]

_XAVIER: Config = {"type": "Xavier", "layer": "Linear", "distribution": "uniform"}


class MAEPretrainDecoder(BaseModule):
    """Transformer from visible tokens `[N, 1 + kept, D]` to patches `[N, L, p p C]`.

    Args:
        num_patches: L of a square grid, or its (height, width) in patches.
        patch_size: p, side of a patch in pixels.
        in_chans: C, channels of the images.
        embed_dim: D, width of the encoder.
        decoder_embed_dim: width of the decoder, a multiple of 4.
        decoder_depth: number of layers.
        decoder_num_heads: heads of their attention.
        mlp_ratio: width of their MLPs relative to that of the decoder.
        norm_cfg: norm of the layers.
        predict_feature_dim: values per patch; `None` is p p C.
        init_cfg: see :class:`BaseModule`.

    Raises:
        ValueError: a number of patches that is no square, or tokens that do not fit.
    """

    def __init__(
        self,
        num_patches: int | tuple[int, int] = 196,
        patch_size: int = 16,
        in_chans: int = 3,
        embed_dim: int = 1024,
        decoder_embed_dim: int = 512,
        decoder_depth: int = 8,
        decoder_num_heads: int = 16,
        mlp_ratio: float = 4,
        norm_cfg: Config = LAYER_NORM,
        predict_feature_dim: int | None = None,
        init_cfg: Any = _XAVIER,
    ) -> None:
        super().__init__(init_cfg)
        self.grid = _grid(num_patches)
        self.num_patches = self.grid[0] * self.grid[1]
        self.decoder_embed = nn.Linear(embed_dim, decoder_embed_dim)
        self.mask_token = nn.Parameter(torch.zeros(1, 1, decoder_embed_dim))
        positions = sincos_position_embedding(self.grid, decoder_embed_dim, cls_token=True)
        self.decoder_pos_embed = nn.Parameter(positions, requires_grad=False)
        width = int(mlp_ratio * decoder_embed_dim)
        self.decoder_blocks = nn.ModuleList(
            TransformerEncoderLayer(decoder_embed_dim, decoder_num_heads, width, norm_cfg=norm_cfg)
            for _ in range(decoder_depth)
        )
        _, self.ln1 = build_norm_layer(norm_cfg, decoder_embed_dim)
        values = patch_size**2 * in_chans if predict_feature_dim is None else predict_feature_dim
        self.decoder_pred = nn.Linear(decoder_embed_dim, values)

    def init_own(self) -> None:
        """Draw the mask token; the position embedding is fixed from the start."""
        nn.init.normal_(self.mask_token, std=0.02)

    def forward(self, x: Tensor, ids_restore: Tensor, cls_token: bool = True) -> Tensor:
        """Predicted patches.

        Args:
            x: class token and visible patches, `[N, 1 + kept, D]` or `[T, N, 1 + kept, D]`.
            ids_restore: where each patch stands among the visible and then the hidden, `[N, L]`.
            cls_token: whether `x` starts with a class token; those of spiking encoders do not.

        Returns:
            `[N, L, values]` or `[T, N, L, values]`.
        """
        if ids_restore.shape[1:] != (self.num_patches,):
            raise ValueError(
                f"MAEPretrainDecoder: num_patches={self.num_patches}, but ids_restore has shape "
                f"{tuple(ids_restore.shape)}"
            )
        if x.dim() == 4:
            ids_restore = ids_restore.repeat(len(x), 1)
        extra = int(cls_token)
        if not extra < x.shape[-2] <= self.num_patches + extra:
            raise ValueError(
                f"MAEPretrainDecoder: expected from 1 to {self.num_patches} visible patches"
                f"{' and a class token' if extra else ''}, got shape {tuple(x.shape)}"
            )

        def decode(tokens: Tensor) -> Tensor:
            return self._decode(tokens, ids_restore, extra)

        return at_every_step("MAEPretrainDecoder", decode, x, "N, L, D")

    def _decode(self, tokens: Tensor, ids_restore: Tensor, extra: int) -> Tensor:
        x = self.decoder_embed(tokens)
        hidden = self.num_patches + extra - x.shape[1]
        patches = torch.cat((x[:, extra:], self.mask_token.expand(len(x), hidden, -1).to(x)), 1)
        patches = patches.gather(1, ids_restore.unsqueeze(-1).expand(-1, -1, x.shape[-1]))
        x = torch.cat((x[:, :extra], patches), 1) + self.decoder_pos_embed[:, 1 - extra :]
        for block in self.decoder_blocks:
            x = block(x)
        return self.decoder_pred(self.ln1(x))[:, extra:]


def _grid(num_patches: int | tuple[int, int]) -> tuple[int, int]:
    if not isinstance(num_patches, int):
        return pair(num_patches)
    side = round(num_patches**0.5)
    if side * side != num_patches:
        raise ValueError(
            f"MAEPretrainDecoder: {num_patches} patches are no square; give (height, width)"
        )
    return side, side
