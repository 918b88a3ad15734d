"""Step-mode layers, containers and pictures for spiking neural networks."""

__version__ = "0.1.0"
