"""BEiT: hide patches and predict the code words that a tokenizer gives them.

    latent = backbone(view, mask)
    target = target_generator(second view)                without gradient
    loss   = head.loss(latent, target, mask)

BEiT v2 has a neck that predicts from the last layer, and from a shortcut that forces the class
token to know the image; its head returns two losses. Sources: arXiv 2106.08254 and 2208.06366.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .image_classifier import mean_over_time
from .self_supervised import BaseSelfSupervisor

__all__ = ["BEiT"]


class BEiT(BaseSelfSupervisor):
    """Masked image modelling with a tokenizer; a batch has two views and a mask `[N, h, w]`.

    Arguments: see :class:`BaseSelfSupervisor`. The backbone is such as `BEiTPretrainViT`, the
    target generator such as `VQKD`, the head `BEiTV1Head`, or `BEiTV2Head` after a neck. The
    tokenizer gets the second view as it is; of a spiking backbone the head gets firing rates.
    """

    def loss(self, inputs: Any, batch: Any) -> dict[str, Any]:
        """`loss`, or with a neck `loss_1` and `loss_2`.

        Args:
            inputs: a list of two views: of the network and of the tokenizer.
            batch: with `mask`, `[N, h, w]` or `[N, L]`, 1 where a patch is hidden.

        Raises:
            ValueError: not two views, or no mask.
        """
        head = self.required("head", "mode='loss'")
        generator = self.required("target_generator", "mode='loss'")
        if not isinstance(inputs, list | tuple) or len(inputs) != 2:
            raise ValueError(
                "BEiT takes two views as inputs: one for the network, one for the tokenizer"
            )
        mask = (batch or {}).get("mask")
        if mask is None:
            raise ValueError("BEiT needs a mask [N, h, w] in the batch; see sj_models.masks")
        latent = self.backbone(self.as_sequence(inputs[0]), mask)
        with torch.no_grad():
            target = generator(inputs[1])
        latent = latent if isinstance(latent, tuple | list) else (latent,)
        if self.spiking:
            latent = mean_over_time(latent)
        latent = tuple(self.with_class_token(tokens) for tokens in latent)
        if self.neck is None:
            return _named(head.loss(latent[-1], target, mask))
        shared = getattr(self.backbone, "rel_pos_bias", None)
        feats, feats_of_class = self.neck(latent, rel_pos_bias=shared)
        return _named(head.loss(feats, feats_of_class, target, mask))


def _named(losses: Any) -> dict[str, Any]:
    if isinstance(losses, Tensor):
        return {"loss": losses}
    if isinstance(losses, dict):
        return losses
    return {f"loss_{i}": loss for i, loss in enumerate(losses, 1)}
