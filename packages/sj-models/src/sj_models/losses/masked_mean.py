"""Mean over what a mask selects."""

from __future__ import annotations

from torch import Tensor

__all__ = ["masked_mean"]


def masked_mean(owner: str, loss: Tensor, mask: Tensor | None) -> Tensor:
    """`sum(loss * mask) / sum(mask)`; the mean without a mask, 0 with a mask that is all zero.

    The 0 stays connected to the graph, so that a batch without masked patches trains nothing. An
    axis of size 1 in the mask selects along the whole axis of the losses and counts once.

    Raises:
        ValueError: a mask that does not fit the losses.
    """
    if mask is None:
        return loss.mean()
    sizes = zip(mask.shape, loss.shape, strict=False)
    if mask.dim() != loss.dim() or any(m not in (1, n) for m, n in sizes):
        raise ValueError(
            f"{owner}: a mask of shape {tuple(mask.shape)} does not fit losses of shape "
            f"{tuple(loss.shape)}"
        )
    mask = mask.to(loss.dtype)
    total = mask.sum()
    return (loss * mask).sum() / total.masked_fill(total == 0, 1)
