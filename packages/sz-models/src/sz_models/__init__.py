"""Spike-camera streams to images: classical methods, networks, metrics, command line."""

__version__ = "0.1.0"
