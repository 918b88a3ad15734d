"""Losses: `loss(pred, target, weight=None, avg_factor=None, reduction_override=None)`."""

from .cosine import CosineSimilarityLoss
from .cross_entropy import CrossEntropyLoss
from .focal import FocalLoss
from .l1 import L1Loss, l1_loss
from .label_smooth import LabelSmoothLoss
from .pixel_reconstruction import PixelReconstructionLoss
from .reduction import ReducedLoss, reduce, weighted_loss
from .spike_rate import SpikeRateLoss
from .tet import TETLoss

__all__ = [
    "CosineSimilarityLoss",
    "CrossEntropyLoss",
    "FocalLoss",
    "L1Loss",
    "LabelSmoothLoss",
    "PixelReconstructionLoss",
    "ReducedLoss",
    "SpikeRateLoss",
    "TETLoss",
    "l1_loss",
    "reduce",
    "weighted_loss",
]
