"""Modules for the nodes of NIR that no layer or neuron of this toolbox stands for.

Import uses plain layers and neurons wherever they say the same; these are for the rest, and can be
used in networks of one's own.
"""

from .delay import Delay
from .elementwise import Scale, Threshold
from .linear import StackedLinear
from .neuron import IF, LI, LIF, CubaLI, CubaLIF, I
from .pool import WidePool2d

__all__ = [
    "IF",
    "LI",
    "LIF",
    "CubaLI",
    "CubaLIF",
    "Delay",
    "I",
    "Scale",
    "StackedLinear",
    "Threshold",
    "WidePool2d",
]
