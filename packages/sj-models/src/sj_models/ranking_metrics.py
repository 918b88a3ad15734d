"""How well relevant items are ranked, in percent.

    average_precision            per class over samples: mean precision at the positives
    hit_rate                     queries with something relevant among the first k
    retrieval_average_precision  per query over the gallery, then the mean over queries
        'IR'         sum over relevant ranks i of (relevant up to i) / i, over all relevant items
        'integrate'  each term averaged with the precision just before its rank

A query without anything relevant has 0.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

__all__ = ["average_precision", "hit_rate", "retrieval_average_precision"]


def average_precision(scores: Tensor, target: Tensor, average: str | None = "macro") -> Tensor:
    """Average precision of each class of a multi-label prediction.

    Args:
        scores: `[N, K]`.
        target: 1 where the class is present, 0 where not, -1 where unknown (ignored), `[N, K]`.
        average: `'macro'` for the mean over classes, `None` for `[K]`.

    Raises:
        ValueError: an unknown average, or shapes that do not fit.
    """
    if average not in ("macro", None):
        raise ValueError(f"average_precision: average must be 'macro' or None, got {average!r}")
    _check("average_precision", scores, target)
    order = scores.argsort(dim=0, descending=True, stable=True)
    ranked = target.gather(0, order)
    positive, known = (ranked == 1).double(), (ranked >= 0).double()
    precision = positive.cumsum(0) / known.cumsum(0).clamp(min=1)
    share = (precision * positive).sum(0) / positive.sum(0).clamp(min=1)
    share = (100 * share).float()
    return share.mean() if average == "macro" else share


def hit_rate(
    scores: Tensor, relevant: Tensor, topk: int | Sequence[int] = (1,)
) -> dict[int, Tensor]:
    """Percentage of queries with at least one relevant item among the first `k`, for each `k`.

    Args:
        scores: similarity of queries and gallery, `[N, M]`.
        relevant: nonzero where an item belongs to the query, `[N, M]`.
        topk: how many items are looked at.

    Raises:
        ValueError: shapes that do not fit, or a `k` below 1.
    """
    ranked = _ranked("hit_rate", scores, relevant)
    wanted = (topk,) if isinstance(topk, int) else tuple(topk)
    if not wanted or min(wanted) < 1:
        raise ValueError(f"hit_rate: topk must be 1 or more, got {topk}")
    return {k: 100 * ranked[:, :k].any(1).float().mean() for k in wanted}


def retrieval_average_precision(
    scores: Tensor, relevant: Tensor, topk: int | None = None, mode: str = "IR"
) -> Tensor:
    """Mean over queries of the average precision; the divisor is the number of relevant items.

    Args:
        scores: similarity of queries and gallery, `[N, M]`.
        relevant: nonzero where an item belongs to the query, `[N, M]`.
        topk: ranks that count; `None` is all.
        mode: `'IR'` or `'integrate'`, see the module's text.

    Raises:
        ValueError: an unknown mode, shapes that do not fit, or a `topk` below 1.
    """
    if mode not in ("IR", "integrate"):
        raise ValueError(f"retrieval_average_precision: mode must be IR or integrate: {mode!r}")
    if topk is not None and topk < 1:
        raise ValueError(f"retrieval_average_precision: topk must be 1 or more, got {topk}")
    ranked = _ranked("retrieval_average_precision", scores, relevant).double()
    rank = torch.arange(1, ranked.shape[1] + 1, device=ranked.device)
    found = ranked.cumsum(1)
    precision = found / rank
    if mode == "integrate":
        before = (found - ranked) / (rank - 1).clamp(min=1)
        before[:, :1] = 1  # nothing was wrong yet
        precision = (precision + before) / 2
    terms = (precision * ranked)[:, :topk].sum(1)
    return (100 * terms / ranked.sum(1).clamp(min=1)).mean().float()


def _check(owner: str, scores: Tensor, other: Tensor) -> None:
    if scores.dim() != 2 or scores.shape != other.shape or not scores.numel():
        raise ValueError(
            f"{owner}: expected two tables of one shape that is not empty, got "
            f"{tuple(scores.shape)} and {tuple(other.shape)}"
        )


def _ranked(owner: str, scores: Tensor, relevant: Tensor) -> Tensor:
    _check(owner, scores, relevant)
    order = scores.argsort(dim=1, descending=True, stable=True)
    return relevant.gather(1, order) != 0
