"""Spiking neurons, surrogate gradients and state handling for PyTorch."""

__version__ = "0.1.0"
