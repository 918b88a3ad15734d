"""Step-mode layers, containers and pictures; use as `import sj_layers as layer`.

Shapes: step mode 's' takes one step `[N, *]`, step mode 'm' takes a sequence `[T, N, *]`.
"""

from .container import SeqToANNContainer
from .conv import Conv2d
from .dropout import Dropout
from .linear import Flatten, Linear
from .norm import BatchNorm2d
from .pool import AdaptiveAvgPool2d, AvgPool2d, MaxPool2d

__all__ = [
    "AdaptiveAvgPool2d",
    "AvgPool2d",
    "BatchNorm2d",
    "Conv2d",
    "Dropout",
    "Flatten",
    "Linear",
    "MaxPool2d",
    "SeqToANNContainer",
]

__version__ = "0.1.0"
