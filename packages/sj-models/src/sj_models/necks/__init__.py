"""Necks: what stands between a backbone and a head."""

from .batch_norm import ClsBatchNormNeck
from .beit_v2 import BEiTV2Neck
from .generalized_mean_pooling import GeneralizedMeanPooling
from .global_average_pooling import GlobalAveragePooling
from .linear import LinearNeck
from .mae_decoder import MAEPretrainDecoder
from .nonlinear import NonLinearNeck

__all__ = [
    "BEiTV2Neck",
    "ClsBatchNormNeck",
    "GeneralizedMeanPooling",
    "GlobalAveragePooling",
    "LinearNeck",
    "MAEPretrainDecoder",
    "NonLinearNeck",
]
