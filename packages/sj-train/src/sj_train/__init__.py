"""Training of spiking networks: loop, Trainer, checkpoints, TensorBoard."""

__version__ = "0.1.0"
