"""The first terms of the Fourier series of a square wave.

g(x)  = 1/2 + (2/pi) sum_i sin((2i-1) w x) / (2i-1)     w = 2 pi / T_period
g'(x) = (4/T_period) sum_i cos((2i-1) w x)              i = 1 .. n-1
"""

from __future__ import annotations

import math
from typing import Any

from .. import ops
from .base import SurrogateFunction, checked_parameter

__all__ = ["SquarewaveFourierSeries", "squarewave_fourier_series"]


def _primitive(x: Any, n: int, period: float) -> Any:
    omega = 2 * math.pi / period
    g = ops.sin(omega * x)
    for odd in range(3, 2 * n - 1, 2):
        g = g + ops.sin(odd * omega * x) / odd
    return 0.5 + 2 / math.pi * g


def _derivative(x: Any, n: int, period: float) -> Any:
    omega = 2 * math.pi / period
    g = ops.cos(omega * x)
    for odd in range(3, 2 * n - 1, 2):
        g = g + ops.cos(odd * omega * x)
    return 4 / period * g


class SquarewaveFourierSeries(SurrogateFunction):
    """Fourier series of a square wave, cut off after n - 1 terms.

    Args:
        n: one more than the number of terms; at least 2.
        T_period: period of the wave, above 0.
        spiking: spike (`True`) or smooth primitive (`False`).
    """

    parameter_names = ("n", "T_period")
    primitive_function = staticmethod(_primitive)
    derivative = staticmethod(_derivative)

    def __init__(self, n: int = 2, T_period: float = 8.0, spiking: bool = True) -> None:
        super().__init__(spiking)
        if isinstance(n, bool) or not isinstance(n, int):
            raise TypeError(f"SquarewaveFourierSeries: n must be a whole number, got {n!r}")
        if n < 2:
            raise ValueError(f"SquarewaveFourierSeries: n must be at least 2, got {n}")
        self.n = n
        self.T_period = checked_parameter(self, "T_period", T_period, above=0.0)


squarewave_fourier_series = SquarewaveFourierSeries.spiking_op
