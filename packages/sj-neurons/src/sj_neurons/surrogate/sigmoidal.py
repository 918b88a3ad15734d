"""Surrogates whose primitive is an S-shaped curve from 0 to 1.

Sigmoid        g(x) = 1 / (1 + exp(-a x))                       g'(x) = a g (1 - g)
ATan           g(x) = atan(pi a x / 2) / pi + 1/2               g'(x) = (a/2) / (1 + (pi a x / 2)^2)
Erf            g(x) = erfc(-a x) / 2                            g'(x) = a exp(-(a x)^2) / sqrt(pi)
SoftSign       g(x) = (1 + a x / (1 + |a x|)) / 2               g'(x) = (a/2) / (1 + |a x|)^2
PiecewiseExp   g(x) = exp(a x) / 2            x < 0             g'(x) = (a/2) exp(-a |x|)
                      1 - exp(-a x) / 2       else
QPseudoSpike   g(x) = (1 - b x)^(1-a) / 2     x < 0             g'(x) = (1 + b |x|)^(-a)
                      1 - (1 + b x)^(1-a) / 2 else              b = 2 / (a - 1)
"""

from __future__ import annotations

import math
from typing import Any

from .. import ops
from .base import SharpenedSurrogate, SurrogateFunction, checked_parameter, halves

__all__ = [
    "ATan",
    "Erf",
    "PiecewiseExp",
    "QPseudoSpike",
    "Sigmoid",
    "SoftSign",
    "atan",
    "erf",
    "piecewise_exp",
    "q_pseudo_spike",
    "sigmoid",
    "soft_sign",
]


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


def _erf_primitive(x: Any, alpha: float) -> Any:
    return 0.5 + 0.5 * ops.erf(alpha * x)


def _erf_derivative(x: Any, alpha: float) -> Any:
    z = alpha * x
    return alpha / math.sqrt(math.pi) * ops.exp(-(z * z))


def _soft_sign_primitive(x: Any, alpha: float) -> Any:
    z = alpha * x
    return 0.5 + 0.5 * z / (1.0 + ops.abs(z))


def _soft_sign_derivative(x: Any, alpha: float) -> Any:
    z = 1.0 + ops.abs(alpha * x)
    return alpha / 2 / (z * z)


def _piecewise_exp_primitive(x: Any, alpha: float) -> Any:
    below, above = halves(x)
    return ops.where(x < 0, 0.5 * ops.exp(alpha * below), 1.0 - 0.5 * ops.exp(-alpha * above))


def _piecewise_exp_derivative(x: Any, alpha: float) -> Any:
    return alpha / 2 * ops.exp(-alpha * ops.abs(x))


def _q_pseudo_spike_primitive(x: Any, alpha: float) -> Any:
    slope = 2 / (alpha - 1)
    below, above = halves(x)
    tail_below = 0.5 * ops.pow(1.0 - slope * below, 1 - alpha)
    tail_above = 0.5 * ops.pow(1.0 + slope * above, 1 - alpha)
    return ops.where(x < 0, tail_below, 1.0 - tail_above)


def _q_pseudo_spike_derivative(x: Any, alpha: float) -> Any:
    return ops.pow(1.0 + 2 / (alpha - 1) * ops.abs(x), -alpha)


class Sigmoid(SharpenedSurrogate):
    """Logistic surrogate: g(x) = sigmoid(alpha x).

    Args:
        alpha: steepness, above 0; the derivative at 0 is `alpha / 4`.
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

    def __init__(self, alpha: float = 4.0, spiking: bool = True) -> None:
        super().__init__(alpha, spiking)


class ATan(SharpenedSurrogate):
    """Arc-tangent surrogate: g(x) = atan(pi alpha x / 2) / pi + 1/2.

    Args:
        alpha: steepness, above 0; the derivative at 0 is `alpha / 2`.
        spiking: spike (`True`) or smooth primitive (`False`).

    Source: Fang et al., "Incorporating learnable membrane time constant to enhance learning of
    spiking neural networks", ICCV 2021.
    """

    primitive_function = staticmethod(_atan_primitive)
    derivative = staticmethod(_atan_derivative)

    def __init__(self, alpha: float = 2.0, spiking: bool = True) -> None:
        super().__init__(alpha, spiking)


class Erf(SharpenedSurrogate):
    """Gaussian surrogate: g(x) = erfc(-alpha x) / 2, the distribution function of a Gaussian.

    Args:
        alpha: steepness, above 0; the derivative at 0 is `alpha / sqrt(pi)`.
        spiking: spike (`True`) or smooth primitive (`False`).

    Source: Wu et al., "Spatio-temporal backpropagation for training high-performance spiking
    neural networks", Frontiers in Neuroscience, 2018.
    """

    primitive_function = staticmethod(_erf_primitive)
    derivative = staticmethod(_erf_derivative)

    def __init__(self, alpha: float = 2.0, spiking: bool = True) -> None:
        super().__init__(alpha, spiking)


class SoftSign(SharpenedSurrogate):
    """Soft-sign surrogate: g(x) = (1 + alpha x / (1 + |alpha x|)) / 2.

    Args:
        alpha: steepness, above 0; the derivative at 0 is `alpha / 2`.
        spiking: spike (`True`) or smooth primitive (`False`).
    """

    primitive_function = staticmethod(_soft_sign_primitive)
    derivative = staticmethod(_soft_sign_derivative)

    def __init__(self, alpha: float = 2.0, spiking: bool = True) -> None:
        super().__init__(alpha, spiking)


class PiecewiseExp(SharpenedSurrogate):
    """Two-sided exponential surrogate: g'(x) = (alpha / 2) exp(-alpha |x|).

    Args:
        alpha: steepness, above 0; the derivative at 0 is `alpha / 2`.
        spiking: spike (`True`) or smooth primitive (`False`).

    Source: Shrestha, Orchard, "SLAYER: Spike layer error reassignment in time", NeurIPS 2018.
    """

    primitive_function = staticmethod(_piecewise_exp_primitive)
    derivative = staticmethod(_piecewise_exp_derivative)

    def __init__(self, alpha: float = 1.0, spiking: bool = True) -> None:
        super().__init__(alpha, spiking)


class QPseudoSpike(SurrogateFunction):
    """Surrogate with tails of adjustable weight: g'(x) = (1 + 2 |x| / (alpha - 1))^(-alpha).

    Args:
        alpha: above 1; the larger, the lighter the tails. The derivative at 0 is 1.
        spiking: spike (`True`) or smooth primitive (`False`).

    Source: Herranz-Celotti, Rouat, "Surrogate gradients design", 2022.
    """

    parameter_names = ("alpha",)
    primitive_function = staticmethod(_q_pseudo_spike_primitive)
    derivative = staticmethod(_q_pseudo_spike_derivative)

    def __init__(self, alpha: float = 2.0, spiking: bool = True) -> None:
        super().__init__(spiking)
        self.alpha = checked_parameter(self, "alpha", alpha, above=1.0)


sigmoid = Sigmoid.spiking_op
atan = ATan.spiking_op
erf = Erf.spiking_op
soft_sign = SoftSign.spiking_op
piecewise_exp = PiecewiseExp.spiking_op
q_pseudo_spike = QPseudoSpike.spiking_op
