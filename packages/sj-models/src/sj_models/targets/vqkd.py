"""Tokenizer of images by vector-quantised knowledge distillation.

    z = W2 tanh(W1 encoder(x))        word = nearest code word of z / |z|

Source: Peng et al., "BEiT v2: masked image modeling with vector-quantized visual tokenizers",
arXiv:2208.06366.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import torch
from torch import Tensor, nn

from ..base_module import BaseModule
from ..build import build_part
from .vector_quantizer import NormEMAVectorQuantizer, Quantized

__all__ = ["VQKD"]


class VQKD(BaseModule):
    """Images `[N, C, H, W]` to code words `[N, L]`, without gradient.

    It makes targets, so it stays in evaluation mode inside a model that trains: words change only
    with `frozen=False`. Training of a tokenizer needs a decoder, which is not part of this.

    Args:
        encoder_config: the encoder, a module or config of a vision transformer with
            `out_type='featmap'` (`BEiTViT` if there is no type).
        decoder_config: must be `None`.
        num_embed: number of code words.
        embed_dims: their width.
        decay: how slowly words follow the data, in [0, 1].
        beta: factor of the quantiser's loss.
        quantize_kmeans_init: start from a clustering of the first batch of training.
        frozen: stay in evaluation mode.
        init_cfg: see :class:`BaseModule`.

    Raises:
        ValueError: a decoder, or an encoder that does not say its width or has neurons.
    """

    def __init__(
        self,
        encoder_config: nn.Module | Mapping[str, Any],
        decoder_config: Mapping[str, Any] | None = None,
        num_embed: int = 8192,
        embed_dims: int = 32,
        decay: float = 0.99,
        beta: float = 1.0,
        quantize_kmeans_init: bool = True,
        frozen: bool = True,
        init_cfg: Any = None,
    ) -> None:
        super().__init__(init_cfg)
        if decoder_config is not None:
            raise ValueError(
                "VQKD: decoder_config must be None; this tokenizer makes targets and has no "
                "decoder to be trained with"
            )
        if isinstance(encoder_config, Mapping) and "type" not in encoder_config:
            encoder_config = {"type": "BEiTViT", **encoder_config}
        self.frozen = frozen
        self.encoder: Any = build_part(encoder_config, path="encoder_config")
        if getattr(self.encoder, "spiking", False):
            raise ValueError("VQKD: the encoder must be an ANN, without neuron=")
        self.quantize = NormEMAVectorQuantizer(
            num_embed, embed_dims, beta, decay, quantize_kmeans_init
        )
        width = _width(self.encoder)
        self.encode_task_layer = nn.Sequential(
            nn.Linear(width, width), nn.Tanh(), nn.Linear(width, embed_dims)
        )
        self.train(self.training)

    def train(self, mode: bool = True) -> Self:
        """As of any module, but a frozen tokenizer stays in evaluation mode."""
        return super().train(mode and not self.frozen)

    def encode(self, x: Tensor) -> Quantized:
        """Quantised features of images, with gradient."""
        features = self.encoder(x)
        features = features[-1] if isinstance(features, tuple | list) else features
        z = self.encode_task_layer(features.movedim(1, -1)).movedim(-1, 1)
        return self.quantize(z)

    @torch.no_grad()
    def forward(self, x: Tensor) -> Tensor:
        """Code word of each patch `[N, L]`, row by row."""
        return self.encode(x).indices.view(len(x), -1)


def _width(encoder: Any) -> int:
    channels = getattr(encoder, "out_channels", None)
    width = channels[-1] if isinstance(channels, tuple) and channels else None
    width = getattr(encoder, "embed_dims", None) if width is None else width
    if not isinstance(width, int):
        raise ValueError("VQKD: the encoder must have out_channels, a tuple, or embed_dims")
    return width
