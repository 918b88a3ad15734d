"""Cosine similarity as a loss.

l(n, i) = shift - scale * cos(pred(n, i), target(n, i))
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from .masked_mean import masked_mean

__all__ = ["CosineSimilarityLoss"]


class CosineSimilarityLoss(nn.Module):
    """Mean over vectors of shifted and scaled cosine similarities, `[N, *, D]`.

    Args:
        shift_factor: what the similarity is taken from; 1 makes equal directions cost 0.
        scale_factor: factor of the similarity.

    Raises:
        ValueError: shapes that do not fit.
    """

    def __init__(self, shift_factor: float = 0.0, scale_factor: float = 1.0) -> None:
        super().__init__()
        self.shift_factor = shift_factor
        self.scale_factor = scale_factor

    def forward(self, pred: Tensor, target: Tensor, mask: Tensor | None = None) -> Tensor:
        """Loss of vectors `[N, *, D]`; `mask` `[N, *]` is 1 where they count."""
        if pred.shape != target.shape:
            raise ValueError(
                "CosineSimilarityLoss: prediction and target have different shapes "
                f"{tuple(pred.shape)} and {tuple(target.shape)}"
            )
        similarity = F.cosine_similarity(pred, target, dim=-1)
        loss = self.shift_factor - self.scale_factor * similarity
        return masked_mean("CosineSimilarityLoss", loss, mask)

    def extra_repr(self) -> str:
        return f"shift_factor={self.shift_factor}, scale_factor={self.scale_factor}"
