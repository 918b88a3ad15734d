"""Surrogates whose primitive is made of straight lines and parabolas.

PiecewiseQuadratic   g(x) = 1/2 + a x - a^2 |x| x / 2    |x| <= 1/a      g'(x) = max(0, a - a^2 |x|)
                            0 below, 1 above
PiecewiseLeakyReLU   g(x) = x / (2 w) + 1/2              |x| < w         g'(x) = 1 / (2 w)
                            c (x + w)                    x <= -w         c
                            c (x - w) + 1                x >= w          c
Rect                 g(x) = a x + 1/2                    |x| < 1/(2a)    g'(x) = a
                            0 below, 1 above                             0
LeakyKReLU           g(x) = leak x                       x < 0           g'(x) = leak
                            k x                          else            k
"""

from __future__ import annotations

from typing import Any

from .. import ops
from .base import SharpenedSurrogate, SurrogateFunction, checked_parameter, constant

__all__ = [
    "LeakyKReLU",
    "PiecewiseLeakyReLU",
    "PiecewiseQuadratic",
    "Rect",
    "leaky_k_relu",
    "piecewise_leaky_relu",
    "piecewise_quadratic",
    "rect",
]


def _piecewise_quadratic_primitive(x: Any, alpha: float) -> Any:
    z = ops.clamp(alpha * x, -1.0, 1.0)
    return 0.5 + z - 0.5 * ops.abs(z) * z


def _piecewise_quadratic_derivative(x: Any, alpha: float) -> Any:
    return alpha * (1.0 - ops.abs(ops.clamp(alpha * x, -1.0, 1.0)))


def _piecewise_leaky_relu_primitive(x: Any, w: float, c: float) -> Any:
    outside = ops.where(x < 0, c * (x + w), c * (x - w) + 1.0)
    return ops.where(ops.abs(x) < w, x / (2 * w) + 0.5, outside)


def _piecewise_leaky_relu_derivative(x: Any, w: float, c: float) -> Any:
    return ops.where(ops.abs(x) < w, constant(x, 1 / (2 * w)), c)


def _rect_primitive(x: Any, alpha: float) -> Any:
    outside = ops.where(x < 0, 0.0, constant(x, 1.0))
    return ops.where(ops.abs(x) < 0.5 / alpha, alpha * x + 0.5, outside)


def _rect_derivative(x: Any, alpha: float) -> Any:
    return ops.where(ops.abs(x) < 0.5 / alpha, constant(x, alpha), 0.0)


def _leaky_k_relu_primitive(x: Any, leak: float, k: float) -> Any:
    return ops.where(x < 0, leak * x, k * x)


def _leaky_k_relu_derivative(x: Any, leak: float, k: float) -> Any:
    return ops.where(x < 0, leak, constant(x, k))


class PiecewiseQuadratic(SharpenedSurrogate):
    """Triangular derivative: g'(x) = max(0, alpha - alpha^2 |x|).

    Args:
        alpha: height of the triangle, above 0; it spans `|x| <= 1 / alpha`.
        spiking: spike (`True`) or smooth primitive (`False`).

    Source: Bellec et al., "Long short-term memory and learning-to-learn in networks of spiking
    neurons", NeurIPS 2018.
    """

    primitive_function = staticmethod(_piecewise_quadratic_primitive)
    derivative = staticmethod(_piecewise_quadratic_derivative)

    def __init__(self, alpha: float = 1.0, spiking: bool = True) -> None:
        super().__init__(alpha, spiking)


class PiecewiseLeakyReLU(SurrogateFunction):
    """Rectangular derivative with a floor: 1 / (2 w) within `|x| < w`, and c outside.

    Args:
        w: half the width of the rectangle, above 0.
        c: derivative outside of it.
        spiking: spike (`True`) or smooth primitive (`False`).
    """

    parameter_names = ("w", "c")
    primitive_function = staticmethod(_piecewise_leaky_relu_primitive)
    derivative = staticmethod(_piecewise_leaky_relu_derivative)

    def __init__(self, w: float = 1.0, c: float = 0.01, spiking: bool = True) -> None:
        super().__init__(spiking)
        self.w = checked_parameter(self, "w", w, above=0.0)
        self.c = checked_parameter(self, "c", c)


class Rect(SharpenedSurrogate):
    """Rectangular derivative of area 1: alpha within `|x| < 1 / (2 alpha)`, and 0 outside.

    Args:
        alpha: height of the rectangle, above 0.
        spiking: spike (`True`) or smooth primitive (`False`).

    Source: Wu et al., "Spatio-temporal backpropagation for training high-performance spiking
    neural networks", Frontiers in Neuroscience, 2018.
    """

    primitive_function = staticmethod(_rect_primitive)
    derivative = staticmethod(_rect_derivative)

    def __init__(self, alpha: float = 1.0, spiking: bool = True) -> None:
        super().__init__(alpha, spiking)


class LeakyKReLU(SurrogateFunction):
    """Gradient of a leaky ReLU: k where the neuron fires, leak where it does not.

    Args:
        leak: derivative below 0.
        k: derivative from 0 on.
        spiking: spike (`True`) or smooth primitive (`False`).
    """

    parameter_names = ("leak", "k")
    primitive_function = staticmethod(_leaky_k_relu_primitive)
    derivative = staticmethod(_leaky_k_relu_derivative)

    def __init__(self, leak: float = 0.0, k: float = 1.0, spiking: bool = True) -> None:
        super().__init__(spiking)
        self.leak = checked_parameter(self, "leak", leak)
        self.k = checked_parameter(self, "k", k)


piecewise_quadratic = PiecewiseQuadratic.spiking_op
piecewise_leaky_relu = PiecewiseLeakyReLU.spiking_op
rect = Rect.spiking_op
leaky_k_relu = LeakyKReLU.spiking_op
