"""Contrastive loss: one positive pair against many negative ones.

    loss = CE([pos | neg] / temperature, 0)

Spiking features are compared by their firing rates, the mean over T; similarities with a time axis
`[T, N, *]` compare step by step instead and are averaged.

Source: He et al., "Momentum contrast for unsupervised visual representation learning", CVPR 2020,
arXiv:1911.05722.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..base_module import BaseModule
from ..build import build_part
from ..losses.cross_entropy import CrossEntropyLoss

__all__ = ["ContrastiveHead", "rate_embedding"]


def rate_embedding(feats: Tensor) -> Tensor:
    """Firing rates over time of length 1: `[T, N, D]` -> `[N, D]`; 0 where nothing fired.

    Raises:
        ValueError: features without a time axis.
    """
    if feats.dim() != 3:
        raise ValueError(f"rate_embedding: expected [T, N, D], got shape {tuple(feats.shape)}")
    return F.normalize(feats.mean(0), dim=-1)


class ContrastiveHead(BaseModule):
    """Classifies the positive among all similarities.

    Args:
        loss: module or config, called as `loss(logits, label)`; the cross entropy by default.
        temperature: divisor of the similarities, above 0.
        init_cfg: see :class:`BaseModule`.

    Raises:
        ValueError: a temperature that is not above 0, or shapes that do not fit.
    """

    def __init__(
        self,
        loss: nn.Module | Mapping[str, Any] | None = None,
        temperature: float = 0.1,
        init_cfg: Any = None,
    ) -> None:
        super().__init__(init_cfg)
        if not temperature > 0:
            raise ValueError(f"ContrastiveHead: temperature must be above 0, got {temperature}")
        self.loss_module = CrossEntropyLoss() if loss is None else build_part(loss, path="loss")
        self.temperature = temperature

    def loss(self, pos: Tensor, neg: Tensor) -> Tensor:
        """Loss of similarities.

        Args:
            pos: to the positive, `[N, 1]` or `[T, N, 1]`.
            neg: to the negatives, `[N, K]` or `[T, N, K]`.
        """
        fits = pos.dim() in (2, 3) and pos.shape[:-1] == neg.shape[:-1] and pos.shape[-1] == 1
        if not fits:
            raise ValueError(
                "ContrastiveHead: expected similarities [N, 1] and [N, K] (or with T in front), "
                f"got {tuple(pos.shape)} and {tuple(neg.shape)}"
            )
        logits = torch.cat((pos, neg), -1).flatten(0, -2) / self.temperature
        label = logits.new_zeros(len(logits), dtype=torch.long)
        return self.loss_module(logits, label)
