"""Head of masked image modelling with a ready target."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from ..base_module import BaseModule
from ..build import build_part

__all__ = ["MIMHead"]


class MIMHead(BaseModule):
    """Hands prediction, target and mask to a loss.

    Args:
        loss: module or config, called as `loss(pred, target, mask)`.
        init_cfg: see :class:`BaseModule`.
    """

    def __init__(self, loss: nn.Module | Mapping[str, Any], init_cfg: Any = None) -> None:
        super().__init__(init_cfg)
        self.loss_module = build_part(loss, path="loss")

    def loss(self, pred: Tensor, target: Tensor, mask: Tensor | None = None) -> Tensor:
        """Loss of a prediction `[N, L, D]` where the mask `[N, L]` is 1."""
        return self.loss_module(pred, target, mask)
