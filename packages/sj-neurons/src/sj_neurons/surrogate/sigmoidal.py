"""Surrogates whose primitive is an S-shaped curve.

Sigmoid   g(x) = 1 / (1 + exp(-a x))             g'(x) = a g (1 - g)
ATan      g(x) = atan(pi a x / 2) / pi + 1/2     g'(x) = (a/2) / (1 + (pi a x / 2)^2)
"""

from __future__ import annotations

import math
from typing import Any

from .. import ops
from .base import SurrogateFunction, spike_function

__all__ = ["ATan", "Sigmoid", "atan", "sigmoid"]


def _sigmoid_primitive(x: Any, alpha: float) -> Any:
    return ops.sigmoid(alpha * x)


def _sigmoid_derivative(x: Any, alpha: float) -> Any:
    g = ops.sigmoid(alpha * x)
    return alpha * g * (1.0 - g)


def _atan_primitive(x: Any, alpha: float) -> Any:
    return ops.atan(math.pi / 2 * alpha * x) / math.pi + 0.5


def _atan_derivative(x: Any, alpha: float) -> Any:
    slope = math.pi / 2 * alpha
    return alpha / 2 / (1.0 + (slope * x) * (slope * x))


sigmoid = spike_function("sigmoid", _sigmoid_derivative)
atan = spike_function("atan", _atan_derivative)


class _Sharpened(SurrogateFunction):
    """A surrogate with the one parameter `alpha`, which sharpens it."""

    parameter_names = ("alpha",)

    def __init__(self, alpha: float, spiking: bool = True) -> None:
        super().__init__(spiking)
        self.alpha = float(alpha)


class Sigmoid(_Sharpened):
    """Logistic surrogate: g(x) = sigmoid(alpha x).

    Args:
        alpha: steepness; the derivative at 0 is `alpha / 4`.
        spiking: spike (`True`) or smooth primitive (`False`).

    Example:
        >>> import torch
        >>> x = torch.tensor([-0.5, 0.0, 0.5], requires_grad=True)
        >>> spike = Sigmoid(alpha=4.0)(x)
        >>> spike.sum().backward()
        >>> spike.tolist(), x.grad[1].item()
        ([0.0, 1.0, 1.0], 1.0)
    """

    primitive_function = staticmethod(_sigmoid_primitive)
    derivative = staticmethod(_sigmoid_derivative)
    spiking_op = sigmoid

    def __init__(self, alpha: float = 4.0, spiking: bool = True) -> None:
        super().__init__(alpha, spiking)


class ATan(_Sharpened):
    """Arc-tangent surrogate: g(x) = atan(pi alpha x / 2) / pi + 1/2.

    Args:
        alpha: steepness; the derivative at 0 is `alpha / 2`.
        spiking: spike (`True`) or smooth primitive (`False`).

    Source: Fang et al., "Incorporating learnable membrane time constant to enhance learning of
    spiking neural networks", ICCV 2021.
    """

    primitive_function = staticmethod(_atan_primitive)
    derivative = staticmethod(_atan_derivative)
    spiking_op = atan

    def __init__(self, alpha: float = 2.0, spiking: bool = True) -> None:
        super().__init__(alpha, spiking)
