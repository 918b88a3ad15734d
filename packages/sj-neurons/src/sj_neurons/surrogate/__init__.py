"""Surrogate gradients: a step function forwards, a smooth derivative backwards.

    forward    s = 1 where u >= 0, else 0          (u = h - v_threshold; NaN gives 0)
    backward   ds/du = g'(u), g a smooth stand-in for the step

With `spiking=False` the module returns the smooth primitive g(u) itself, which autograd can check.

Source: Neftci, Mostafa, Zenke, "Surrogate gradient learning in spiking neural networks" (2019).
"""

from .base import SurrogateFunction, heaviside
from .sigmoidal import ATan, Sigmoid, atan, sigmoid

__all__ = ["ATan", "Sigmoid", "SurrogateFunction", "atan", "heaviside", "sigmoid"]
