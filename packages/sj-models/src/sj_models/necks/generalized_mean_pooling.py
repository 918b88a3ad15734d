"""Generalised mean over the positions of an image.

    y[n, c] = (mean over h, w of max(x[n, c, h, w], eps)^p)^(1/p)

p = 1 is the average, p -> inf the maximum. Of binary spikes every power is the same, so that y is
only a root of the rate: with `time='mean'` the pool takes the firing rates, the mean over T.

Source: Radenovic, Tolias, Chum, "Fine-tuning CNN image retrieval with no human annotation", TPAMI
2019, arXiv:1711.02512.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ..time_axis import check_rank, map_features

__all__ = ["GeneralizedMeanPooling"]


class GeneralizedMeanPooling(nn.Module):
    """Pools `[N, C, H, W]` to `[N, C]`, and `[T, N, C, H, W]` to `[T, N, C]`.

    Args:
        p: exponent, 1 or more; where training leads it is not bounded.
        eps: smallest value, above 0.
        clamp: raise smaller values to `eps`; without it negative values give NaN for most p.
        p_trainable: p is a parameter `p` of shape [1].
        time: `'keep'` pools each step, `'mean'` the mean over T: `[T, N, C, H, W]` to `[N, C]`.

    Raises:
        ValueError: `p`, `eps` or `time` outside these ranges, or features of another rank.
    """

    p: nn.Parameter | Tensor

    def __init__(
        self,
        p: float = 3.0,
        eps: float = 1e-6,
        clamp: bool = True,
        p_trainable: bool = True,
        time: str = "keep",
    ) -> None:
        super().__init__()
        if p < 1:
            raise ValueError(f"GeneralizedMeanPooling: p must be 1 or more, got {p}")
        if not eps > 0:
            raise ValueError(f"GeneralizedMeanPooling: eps must be above 0, got {eps}")
        if time not in ("keep", "mean"):
            raise ValueError(f"GeneralizedMeanPooling: time must be keep or mean, got {time!r}")
        if p_trainable:
            self.p = nn.Parameter(torch.tensor([float(p)]))
        else:
            self.register_buffer("p", torch.tensor([float(p)]), persistent=False)
        self.eps = eps
        self.clamp = clamp
        self.time = time

    def forward(self, inputs: Any) -> Any:
        """Pooled features: a tensor of a tensor, a tuple of a tuple."""
        return map_features("GeneralizedMeanPooling", self._pool, inputs)

    def _pool(self, x: Tensor) -> Tensor:
        check_rank("GeneralizedMeanPooling", x, "N, C, H, W")
        if self.time == "mean" and x.dim() == 5:
            x = x.mean(0)
        if self.clamp:
            x = x.clamp(min=self.eps)
        return x.pow(self.p).mean((-2, -1)).pow(1 / self.p)

    def extra_repr(self) -> str:
        return f"p={self.p.item():g}, eps={self.eps}, clamp={self.clamp}, time={self.time!r}"
