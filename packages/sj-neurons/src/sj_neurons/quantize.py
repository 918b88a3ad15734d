"""Quantizers with straight-through gradients.

round, ceil, floor         y = the whole number nearest, above, below              dy/dx = 1
clamp                      y = min(max(x, lo), hi)          dy/dx = 1 within [lo, hi], else 0
step_quantize              y = step * round(x / step)                              dy/dx = 1
k_bit_quantize             y = round((2^k - 1) x) / (2^k - 1)                      dy/dx = 1
affine_k_bit_quantize      y = w k_bit_quantize(x) + b                             dy/dx = w
clamp_by_linear            y = (x - min x) / (max x - min x + eps)                 by autograd

x is a tensor of any shape; halves round to even.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

__all__ = [
    "affine_k_bit_quantize",
    "ceil",
    "clamp",
    "clamp_by_linear",
    "floor",
    "k_bit_quantize",
    "round",
    "step_quantize",
]


def _straight_through(
    name: str, function: Callable[[Tensor], Tensor]
) -> type[torch.autograd.Function]:
    def forward(x: Tensor) -> Tensor:
        return function(x)

    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        pass

    def backward(ctx: Any, *grad_outputs: Tensor) -> Tensor:
        return grad_outputs[0]

    members = {
        "__module__": __name__,
        "generate_vmap_rule": True,
        "forward": staticmethod(forward),
        "setup_context": staticmethod(setup_context),
        "backward": staticmethod(backward),
    }
    return type(name, (torch.autograd.Function,), members)


_Round = _straight_through("Round", torch.round)
_Ceil = _straight_through("Ceil", torch.ceil)
_Floor = _straight_through("Floor", torch.floor)


def round(x: Tensor) -> Tensor:
    """Nearest whole number, with the gradient of the identity.

    Example:
        >>> import torch
        >>> x = torch.tensor([0.4, 0.6], requires_grad=True)
        >>> y = round(x)
        >>> y.sum().backward()
        >>> y.tolist(), x.grad.tolist()
        ([0.0, 1.0], [1.0, 1.0])
    """
    return _Round.apply(x)  # pyright: ignore[reportReturnType]


def ceil(x: Tensor) -> Tensor:
    """Smallest whole number that is not below `x`, with the gradient of the identity."""
    return _Ceil.apply(x)  # pyright: ignore[reportReturnType]


def floor(x: Tensor) -> Tensor:
    """Largest whole number that is not above `x`, with the gradient of the identity."""
    return _Floor.apply(x)  # pyright: ignore[reportReturnType]


def clamp(x: Tensor, lo: float, hi: float) -> Tensor:
    """`x` limited to `[lo, hi]`; the gradient passes inside, ends included.

    Raises:
        ValueError: `lo` is above `hi`.
    """
    if lo > hi:
        raise ValueError(f"clamp: lo must not be above hi, got lo={lo}, hi={hi}")
    return torch.clamp(x, lo, hi)


def step_quantize(x: Tensor, step: float = 1.0) -> Tensor:
    """Nearest multiple of `step`, with the gradient of the identity.

    Raises:
        ValueError: `step` is not a finite number above 0.
    """
    if not (math.isfinite(step) and step > 0):
        raise ValueError(f"step_quantize: step must be a finite number above 0, got {step}")
    return round(x / step) * step


def k_bit_quantize(x: Tensor, k: int) -> Tensor:
    """`x` in `[0, 1]` rounded to the `2^k` evenly spaced levels of k bits.

    Raises:
        TypeError: `k` is not a whole number.
        ValueError: `k` is below 1.

    Source: Zhou et al., "DoReFa-Net: Training low bitwidth convolutional neural networks with low
    bitwidth gradients", 2016.
    """
    if isinstance(k, bool) or not isinstance(k, int):
        raise TypeError(f"k_bit_quantize: k must be a whole number of bits, got {k!r}")
    if k < 1:
        raise ValueError(f"k_bit_quantize: k must be at least 1 bit, got {k}")
    last = 2**k - 1
    return round(x * last) / last


def affine_k_bit_quantize(x: Tensor, k: int, w: float | Tensor, b: float | Tensor) -> Tensor:
    """`w * k_bit_quantize(x, k) + b`; `w` and `b` are numbers or tensors that broadcast to `x`.

    Raises:
        TypeError, ValueError: as :func:`k_bit_quantize`.
    """
    return w * k_bit_quantize(x, k) + b


def clamp_by_linear(x: Tensor, eps: float = 1e-5) -> Tensor:
    """`x` mapped linearly to `[0, 1)` by its own smallest and largest value.

    The gradient also flows through these two values.

    Args:
        eps: added to the range, so that equal values map to 0.
    """
    low, high = x.min(), x.max()
    return (x - low) / (high - low + eps)
