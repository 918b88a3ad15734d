"""How good predictions are: one label per sample. All shares are in percent.

    accuracy      rows whose target is among the k best classes (and whose score is above a
                  threshold, if there is one); of equal scores the first counts as better
    precision     TP / (TP + FP)       recall  TP / (TP + FN)       f1  2 P R / (P + R)

For several labels per sample, retrieval and time see `ranking_metrics` and `time_metrics`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["ClassScores", "accuracy", "confusion_matrix", "precision_recall_f1"]


def accuracy(
    scores: Tensor,
    target: Tensor,
    topk: int | Sequence[int] = (1,),
    threshold: float | None = None,
) -> dict[int, Tensor]:
    """Percentage of rows whose target is among the `k` best classes, for each `k`.

    Args:
        scores: `[N, K]`, the larger the better; logits or probabilities.
        target: class indices `[N]`.
        topk: numbers of best classes; what is above K counts as K.
        threshold: also ask that the score of the target is above it. There is none by default: the
            scores of a silent network are all 0, and best logits may be negative.

    Raises:
        ValueError: shapes that do not fit, no samples, or a `k` below 1.
    """
    _check_scores("accuracy", scores, target)
    wanted = (topk,) if isinstance(topk, int) else tuple(topk)
    if not wanted or min(wanted) < 1:
        raise ValueError(f"accuracy: topk must be 1 or more, got {topk}")
    best = scores.sort(dim=1, descending=True, stable=True).indices
    right = best == target[:, None]
    if threshold is not None:
        right = right & (scores.gather(1, target[:, None]) > threshold)
    return {k: 100 * right[:, :k].any(1).float().mean() for k in wanted}


def confusion_matrix(pred: Tensor, target: Tensor, num_classes: int | None = None) -> Tensor:
    """How often each target (row) was predicted as each class (column), `[K, K]`.

    Args:
        pred: class indices `[N]`, or scores `[N, K]`.
        target: class indices `[N]`.
        num_classes: K; `None` takes it from the scores or the largest index.

    Raises:
        ValueError: shapes that do not fit, or an index that is not below K.
    """
    if pred.dim() == 2:
        num_classes = pred.shape[1] if num_classes is None else num_classes
        pred = pred.argmax(1)
    if pred.dim() != 1 or pred.shape != target.shape:
        raise ValueError(
            f"confusion_matrix: expected predictions and targets [N], got {tuple(pred.shape)} and "
            f"{tuple(target.shape)}"
        )
    both = torch.cat((pred, target))
    highest = int(both.max()) if both.numel() else -1
    classes = highest + 1 if num_classes is None else num_classes
    if highest >= classes or (both.numel() and int(both.min()) < 0):
        raise ValueError(f"confusion_matrix: class indices must be from 0 to {classes - 1}")
    cells = torch.bincount(target * classes + pred, minlength=classes * classes)
    return cells.view(classes, classes)


class ClassScores(NamedTuple):
    """Precision, recall and F1 in percent, and how many samples they stand for."""

    precision: Tensor
    recall: Tensor
    f1: Tensor
    support: Tensor


def precision_recall_f1(
    pred: Tensor,
    target: Tensor,
    average: str | None = "macro",
    num_classes: int | None = None,
    threshold: float | None = None,
) -> ClassScores:
    """Precision, recall and F1 score; classes without prediction or sample have 0.

    Args:
        pred: scores `[N, K]`, or class indices `[N]`.
        target: class indices `[N]`.
        average: `'macro'` for the mean over classes, `'micro'` for counts of all classes together,
            `None` for one number per class, `[K]`.
        num_classes: K, for class indices.
        threshold: predictions with a best score up to it count for no class.

    Raises:
        ValueError: an unknown average, or shapes that do not fit.
    """
    if average not in ("macro", "micro", None):
        raise ValueError(f"average must be 'macro', 'micro' or None, got {average!r}")
    cells = confusion_matrix(pred, target, num_classes)
    support = cells.sum(1)
    if threshold is not None:
        if pred.dim() != 2:
            raise ValueError("precision_recall_f1: a threshold needs scores [N, K]")
        sure = pred.amax(1) > threshold
        cells = confusion_matrix(pred[sure], target[sure], len(cells))
    hits, predicted, present = cells.diagonal(), cells.sum(0), support
    if average == "micro":
        hits, predicted, present = hits.sum(), predicted.sum(), present.sum()
    precision = 100 * hits / predicted.clamp(min=1)
    recall = 100 * hits / present.clamp(min=1)
    f1 = 2 * precision * recall / (precision + recall).clamp(min=torch.finfo(recall.dtype).eps)
    if average == "macro":
        precision, recall, f1 = precision.mean(), recall.mean(), f1.mean()
    return ClassScores(precision, recall, f1, support if average is None else support.sum())


def _check_scores(owner: str, scores: Tensor, target: Tensor) -> None:
    if scores.dim() != 2 or target.shape != scores.shape[:1] or not len(target):
        raise ValueError(
            f"{owner}: expected scores [N, K] and class indices [N] with N > 0, got "
            f"{tuple(scores.shape)} and {tuple(target.shape)}"
        )
