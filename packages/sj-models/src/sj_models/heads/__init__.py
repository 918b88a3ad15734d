"""Heads: features to scores, losses and predictions."""

from .beit import BEiTV1Head, BEiTV2Head
from .classification import ClsHead
from .contrastive import ContrastiveHead, rate_embedding
from .decoding import decode_time
from .linear import LinearClsHead
from .mae import MAEPretrainHead
from .masked_image import MIMHead
from .spike_count import SpikeCountHead
from .vision_transformer import VisionTransformerClsHead

__all__ = [
    "BEiTV1Head",
    "BEiTV2Head",
    "ClsHead",
    "ContrastiveHead",
    "LinearClsHead",
    "MAEPretrainHead",
    "MIMHead",
    "SpikeCountHead",
    "VisionTransformerClsHead",
    "decode_time",
    "rate_embedding",
]
