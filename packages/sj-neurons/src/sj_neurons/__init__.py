"""Spiking neurons, surrogate gradients and state handling for PyTorch.

Shapes: `x` is one step `[N, *]`, `x_seq` is many steps `[T, N, *]`; time is always first.
"""

from . import base, functional, monitor, neuron, ops, quantize, surrogate

__all__ = ["base", "functional", "monitor", "neuron", "ops", "quantize", "surrogate"]

__version__ = "0.1.0"
