"""Spiking model zoo; parameter names equal torchvision's where a model has a twin there."""

from . import csnn, spiking_resnet
from .csnn import CSNN
from .spiking_resnet import SpikingResNet, spiking_resnet18

__all__ = ["CSNN", "SpikingResNet", "csnn", "spiking_resnet", "spiking_resnet18"]

__version__ = "0.1.0"
