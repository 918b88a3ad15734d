"""Heads that predict the code words of hidden patches.

    BEiTV1Head   loss   = CE(W x + b, argmax over words of the tokenizer's logits)
    BEiTV2Head   loss_1 = CE of the last layer's features
                 loss_2 = CE of those after the shortcut, with the same W and b

Only hidden patches count. Sources: Bao et al., "BEiT", arXiv:2106.08254; Peng et al., "BEiT v2",
arXiv:2208.06366.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from ..base_module import BaseModule
from ..build import build_part
from ..losses.cross_entropy import CrossEntropyLoss

__all__ = ["BEiTV1Head", "BEiTV2Head"]

_TRUNC_NORMAL: Mapping[str, Any] = {"type": "TruncNormal", "layer": "Linear", "std": 0.02}


class _CodeWordHead(BaseModule):
    """The classifier of both versions."""

    def __init__(
        self,
        embed_dims: int,
        num_embed: int,
        loss: nn.Module | Mapping[str, Any] | None = None,
        init_cfg: Any = _TRUNC_NORMAL,
    ) -> None:
        super().__init__(init_cfg)
        self.cls_head = nn.Linear(embed_dims, num_embed)
        self.loss_module = CrossEntropyLoss() if loss is None else build_part(loss, path="loss")

    def _loss_of(self, tokens: Tensor, words: Tensor, hidden: Tensor) -> Tensor:
        if not hidden.shape == tokens.shape[:2] == words.shape:
            raise ValueError(
                f"{type(self).__name__}: tokens {tuple(tokens.shape)}, code words "
                f"{tuple(words.shape)} and the mask {tuple(hidden.shape)} do not have the same "
                "patches"
            )
        logits = self.cls_head(tokens[hidden])
        if not len(logits):
            return logits.sum()  # nothing was hidden: 0, still connected to the graph
        return self.loss_module(logits, words[hidden])


class BEiTV1Head(_CodeWordHead):
    """Predicts the words that a tokenizer prefers.

    Args:
        embed_dims: D, width of the tokens.
        num_embed: V, number of code words.
        loss: module or config, called as `loss(logits, words)`; the cross entropy by default.
        init_cfg: see :class:`BaseModule`; the weights start normal with deviation 0.02.

    Raises:
        ValueError: shapes that do not fit.
    """

    def loss(self, feats: Tensor, target: Tensor, mask: Tensor) -> Tensor:
        """Loss of tokens.

        Args:
            feats: class token and patches, `[N, 1 + L, D]`, or patches alone, `[N, L, D]`.
            target: logits of the words, `[N, V, h, w]`, or words `[N, L]`.
            mask: nonzero where a patch was hidden, `[N, h, w]` or `[N, L]`.
        """
        words = target.argmax(1).flatten(1) if target.dim() == 4 else target
        hidden = mask.flatten(1).bool()
        patches = feats[:, 1:] if feats.shape[1] == hidden.shape[1] + 1 else feats
        return self._loss_of(patches, words, hidden)


class BEiTV2Head(_CodeWordHead):
    """Predicts words from two features with one classifier.

    Arguments: see :class:`BEiTV1Head`.
    """

    def loss(
        self, feats: Tensor, feats_cls_pt: Tensor, target: Tensor, mask: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Losses of both features.

        Args:
            feats: patches after the last layer, `[N, L, D]`.
            feats_cls_pt: patches after the shortcut, `[N, L, D]`.
            target: code words `[N, L]`.
            mask: nonzero where a patch was hidden, `[N, h, w]` or `[N, L]`.
        """
        hidden = mask.flatten(1).bool()
        both = [self._loss_of(tokens, target, hidden) for tokens in (feats, feats_cls_pt)]
        return both[0], both[1]
