"""Export and import of spiking networks as Neuromorphic Intermediate Representation (NIR) graphs."""

__version__ = "0.1.0"
