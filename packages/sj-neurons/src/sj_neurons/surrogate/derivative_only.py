"""Surrogates that are known by their derivative alone and have no primitive.

SuperSpike              g'(x) = a / (1 + |x|)^2
FakeNumericalGradient   g'(x) = min(1 / |x|, a)
"""

from __future__ import annotations

from typing import Any

from .. import ops
from .base import SharpenedSurrogate, no_primitive

__all__ = ["FakeNumericalGradient", "SuperSpike", "fake_numerical_gradient", "super_spike"]


def _super_spike_derivative(x: Any, alpha: float) -> Any:
    z = 1.0 + ops.abs(x)
    return alpha / (z * z)


def _fake_numerical_gradient_derivative(x: Any, alpha: float) -> Any:
    far = alpha * ops.abs(x) > 1
    # 1/x would be infinite at 0, and so would its derivative
    return ops.where(far, 1.0 / ops.where(far, ops.abs(x), 1.0), alpha)


class SuperSpike(SharpenedSurrogate):
    """Derivative of a fast sigmoid: g'(x) = alpha / (1 + |x|)^2.

    There is no primitive: with `spiking=False` a call raises `NotImplementedError`.

    Args:
        alpha: derivative at 0, above 0.
        spiking: `True`.

    Source: Zenke, Ganguli, "SuperSpike: Supervised learning in multilayer spiking neural
    networks", Neural Computation, 2018.
    """

    primitive_function = staticmethod(no_primitive("SuperSpike"))
    derivative = staticmethod(_super_spike_derivative)

    def __init__(self, alpha: float = 1.0, spiking: bool = True) -> None:
        super().__init__(alpha, spiking)


class FakeNumericalGradient(SharpenedSurrogate):
    """Slope from the threshold's level to the point: g'(x) = min(1 / |x|, alpha).

    There is no primitive: after `set_spiking_mode(False)` a call raises `NotImplementedError`.

    Args:
        alpha: upper bound of the derivative, above 0.
    """

    primitive_function = staticmethod(no_primitive("FakeNumericalGradient"))
    derivative = staticmethod(_fake_numerical_gradient_derivative)

    def __init__(self, alpha: float = 0.3) -> None:
        super().__init__(alpha)

    def extra_repr(self) -> str:
        return f"alpha={self.alpha}"  # all that the constructor takes


super_spike = SuperSpike.spiking_op
fake_numerical_gradient = FakeNumericalGradient.spiking_op
