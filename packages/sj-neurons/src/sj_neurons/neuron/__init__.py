"""Spiking neurons. One family per file; each neuron is written once, as a pure step."""

from .base import BaseNode
from .integrate_and_fire import IFNode
from .lif import LIFNode
from .plif import ParametricLIFNode

__all__ = ["BaseNode", "IFNode", "LIFNode", "ParametricLIFNode"]
