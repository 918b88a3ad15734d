"""Mean over the positions of a feature map.

y[n, c] = mean over positions of x[n, c, *]            [N, C, *]    -> [N, C]
y[t, n, c] likewise                                    [T, N, C, *] -> [T, N, C]
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from ..time_axis import check_rank, map_features

__all__ = ["POSITIONS", "GlobalAveragePooling"]

# the axes of features with 1, 2 and 3 axes of positions
POSITIONS = {1: "N, C, L", 2: "N, C, H, W", 3: "N, C, D, H, W"}


class GlobalAveragePooling(nn.Module):
    """Averages the last `dim` axes; time, if there is any, is kept.

    Args:
        dim: axes of positions: 1 for tokens `[N, C, L]`, 2 for images, 3 for volumes.

    Raises:
        ValueError: another `dim`, or features of another rank than `dim + 2` (`dim + 3` with T).

    Example:
        >>> import torch
        >>> GlobalAveragePooling()((torch.rand(4, 2, 8, 5, 5),))[0].shape   # T=4, N=2
        torch.Size([4, 2, 8])
    """

    def __init__(self, dim: int = 2) -> None:
        super().__init__()
        if dim not in POSITIONS:
            raise ValueError(f"GlobalAveragePooling: dim must be 1, 2 or 3, got {dim!r}")
        self.dim = dim

    def forward(self, inputs: Any) -> Any:
        """Pooled features: a tensor of a tensor, a tuple of a tuple."""
        return map_features("GlobalAveragePooling", self._pool, inputs)

    def _pool(self, x: Tensor) -> Tensor:
        check_rank(f"GlobalAveragePooling(dim={self.dim})", x, POSITIONS[self.dim])
        return x.mean(tuple(range(-self.dim, 0)))

    def extra_repr(self) -> str:
        return f"dim={self.dim}"
