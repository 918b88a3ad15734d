"""One matrix for each place of a sample.

y[..., o] = sum_i W[..., o, i] x[..., i] + b[..., o]
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["StackedLinear"]


class StackedLinear(nn.Module):
    """Maps the last axis, with a weight of its own for each index of the axes before it.

    The same in both step modes.

    Args:
        weight: `[*, out, in]` for samples `[*, in]`.
        bias: `[*, out]` or `[out]`; `None` for none.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None = None) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight.detach().clone())
        self.bias = None if bias is None else nn.Parameter(bias.detach().clone())

    def forward(self, x: Tensor) -> Tensor:
        y = torch.matmul(self.weight, x.unsqueeze(-1)).squeeze(-1)
        return y if self.bias is None else y + self.bias

    def extra_repr(self) -> str:
        return f"weight={tuple(self.weight.shape)}, bias={self.bias is not None}"
