"""Self-supervised mutual learning: a blind-spot network and the student that learns with it.

Chen et al., "Self-supervised mutual learning for dynamic scene reconstruction of spiking camera",
IJCAI 2022; the simplified variant of the zoo.
"""

from .network import DoubleNet

__all__ = ["DoubleNet"]
