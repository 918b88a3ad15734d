"""Spiking neurons, surrogate gradients and state handling for PyTorch.

Shapes: `x` is one step `[N, *]`, `x_seq` is many steps `[T, N, *]`; time is always first.
"""

from . import base, functional, monitor, neuron, ops, quantize, surrogate
from .backend import backends, set_default_backend

__all__ = [
    "backends",
    "base",
    "functional",
    "monitor",
    "neuron",
    "ops",
    "quantize",
    "set_default_backend",
    "surrogate",
]

__version__ = "0.1.0"
