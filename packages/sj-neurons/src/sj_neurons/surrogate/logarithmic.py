"""Surrogates whose primitive grows like a logarithm.

NonzeroSignLogAbs   g(x) = sgn(x) log(1 + a |x|), sgn(0) = 1       g'(x) = 1 / (1/a + |x|)
S2NN                g(x) = sigmoid(a x)                  x < 0     g'(x) = a g (1 - g)
                           b log(x + 1 + 1e-5) + 1/2     else              b / (x + 1)
LogTailedReLU       g(x) = a x                           x <= 0    g'(x) = a
                           x                             x <= 1            1
                           log(x) + 1                    else              1 / x
"""

from __future__ import annotations

from typing import Any

from .. import ops
from .base import SharpenedSurrogate, SurrogateFunction, checked_parameter, halves

__all__ = [
    "S2NN",
    "LogTailedReLU",
    "NonzeroSignLogAbs",
    "log_tailed_relu",
    "nonzero_sign_log_abs",
    "s2nn",
]

_S2NN_EPS = 1e-5  # part of the published primitive, absent from the published derivative


def _nonzero_sign_log_abs_primitive(x: Any, alpha: float) -> Any:
    below, above = halves(x)
    return ops.where(x < 0, -ops.log(1.0 - alpha * below), ops.log(1.0 + alpha * above))


def _nonzero_sign_log_abs_derivative(x: Any, alpha: float) -> Any:
    return 1.0 / (1 / alpha + ops.abs(x))


def _s2nn_primitive(x: Any, alpha: float, beta: float) -> Any:
    below, above = halves(x)
    tail = beta * ops.log(above + (1.0 + _S2NN_EPS)) + 0.5
    return ops.where(x < 0, ops.sigmoid(alpha * below), tail)


def _s2nn_derivative(x: Any, alpha: float, beta: float) -> Any:
    below, above = halves(x)
    g = ops.sigmoid(alpha * below)
    return ops.where(x < 0, alpha * g * (1.0 - g), beta / (above + 1.0))


def _log_tailed_relu_primitive(x: Any, alpha: float) -> Any:
    tail = ops.where(x > 1, x, 1.0)
    return ops.where(x > 1, ops.log(tail) + 1.0, ops.where(x > 0, x, alpha * x))


def _log_tailed_relu_derivative(x: Any, alpha: float) -> Any:
    tail = ops.where(x > 1, x, 1.0)
    return ops.where(x > 0, 1.0 / tail, alpha)


class NonzeroSignLogAbs(SharpenedSurrogate):
    """Surrogate with a slowly falling derivative: g'(x) = 1 / (1/alpha + |x|).

    Args:
        alpha: steepness, above 0; the derivative at 0 is `alpha`.
        spiking: spike (`True`) or smooth primitive (`False`), which is not bounded.
    """

    primitive_function = staticmethod(_nonzero_sign_log_abs_primitive)
    derivative = staticmethod(_nonzero_sign_log_abs_derivative)

    def __init__(self, alpha: float = 1.0, spiking: bool = True) -> None:
        super().__init__(alpha, spiking)


class S2NN(SurrogateFunction):
    """Logistic below the threshold, logarithmic above it.

    Args:
        alpha: steepness below the threshold, above 0.
        beta: derivative at the threshold, from where it falls as `beta / (x + 1)`; above 0.
        spiking: spike (`True`) or smooth primitive (`False`), which is not bounded.

    Source: Suetake et al., "S3NN: Time step reduction of spiking surrogate gradients for training
    energy efficient single-step spiking neural networks", Neural Networks, 2023.
    """

    parameter_names = ("alpha", "beta")
    primitive_function = staticmethod(_s2nn_primitive)
    derivative = staticmethod(_s2nn_derivative)

    def __init__(self, alpha: float = 4.0, beta: float = 1.0, spiking: bool = True) -> None:
        super().__init__(spiking)
        self.alpha = checked_parameter(self, "alpha", alpha, above=0.0)
        self.beta = checked_parameter(self, "beta", beta, above=0.0)


class LogTailedReLU(SurrogateFunction):
    """Gradient of a ReLU whose output grows like a logarithm from 1 on.

    Args:
        alpha: derivative at and below 0.
        spiking: spike (`True`) or smooth primitive (`False`), which is not bounded.

    Source: Cai et al., "Deep learning with low precision by half-wave Gaussian quantization",
    CVPR 2017.
    """

    parameter_names = ("alpha",)
    primitive_function = staticmethod(_log_tailed_relu_primitive)
    derivative = staticmethod(_log_tailed_relu_derivative)

    def __init__(self, alpha: float = 0.0, spiking: bool = True) -> None:
        super().__init__(spiking)
        self.alpha = checked_parameter(self, "alpha", alpha)


nonzero_sign_log_abs = NonzeroSignLogAbs.spiking_op
s2nn = S2NN.spiking_op
log_tailed_relu = LogTailedReLU.spiking_op
