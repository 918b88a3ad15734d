"""Spiking model zoo with torchvision-compatible weights."""

__version__ = "0.1.0"
