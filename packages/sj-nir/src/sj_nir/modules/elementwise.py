"""Element by element and without state: the same in both step modes.

Scale       y = scale x
Threshold   y = 1 where x >= threshold, else 0
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sj_neurons.surrogate import Sigmoid, SurrogateFunction

__all__ = ["Scale", "Threshold"]


class Scale(nn.Module):
    """A learnable factor for each element.

    Args:
        scale: number, or tensor that broadcasts to one sample `[*]`.
    """

    def __init__(self, scale: float | Tensor) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.as_tensor(scale).detach().clone())

    def forward(self, x: Tensor) -> Tensor:
        return x * self.scale

    def extra_repr(self) -> str:
        return f"elements={tuple(self.scale.shape)}"


class Threshold(nn.Module):
    """A step function for each element, with a surrogate gradient.

    Args:
        threshold: number, or tensor that broadcasts to one sample `[*]`; it becomes an
            `nn.Parameter` that does not ask for a gradient until told to.
        surrogate_function: spike function of `x - threshold`; a new `Sigmoid()` if `None`.
    """

    def __init__(
        self, threshold: float | Tensor, surrogate_function: SurrogateFunction | None = None
    ) -> None:
        super().__init__()
        value = torch.as_tensor(threshold).detach().clone()
        self.threshold = nn.Parameter(value, requires_grad=False)
        self.surrogate_function = Sigmoid() if surrogate_function is None else surrogate_function

    def forward(self, x: Tensor) -> Tensor:
        return self.surrogate_function(x - self.threshold)

    def extra_repr(self) -> str:
        return f"elements={tuple(self.threshold.shape)}"
