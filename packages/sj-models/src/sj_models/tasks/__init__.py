"""Task models: what owns the parts of a network and knows its objective.

    inputs [N, C, H, W] --encoder--> [T, N, C, H, W] --backbone--> tuple --neck--> tuple --head-->

The encoder and the axis T are there for spiking networks only; T survives until the head decodes
it.
"""

from .base import TaskModel, parse_losses
from .beit import BEiT
from .image_classifier import ImageClassifier
from .mae import MAE
from .retriever import ImageToImageRetriever
from .self_supervised import BaseSelfSupervisor

__all__ = [
    "MAE",
    "BEiT",
    "BaseSelfSupervisor",
    "ImageClassifier",
    "ImageToImageRetriever",
    "TaskModel",
    "parse_losses",
]
