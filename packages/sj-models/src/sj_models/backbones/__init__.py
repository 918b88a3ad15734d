"""Backbones of models built from a config: a tensor in, a tuple of features out."""

from .base import Backbone, FeatureInfo
from .beit_vit import BEiTPretrainViT, BEiTViT
from .mae_vit import MAEViT
from .mobilenet_v2 import MobileNetV2
from .resnet import ResNet
from .resnet_cifar import ResNet_CIFAR
from .spikformer import Spikformer
from .vision_transformer import VisionTransformer

__all__ = [
    "BEiTPretrainViT",
    "BEiTViT",
    "Backbone",
    "FeatureInfo",
    "MAEViT",
    "MobileNetV2",
    "ResNet",
    "ResNet_CIFAR",
    "Spikformer",
    "VisionTransformer",
]
