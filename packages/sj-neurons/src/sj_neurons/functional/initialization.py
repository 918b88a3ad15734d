"""Initial weights."""

from __future__ import annotations

import math

from torch import nn
from torch.nn.modules.conv import _ConvNd

__all__ = ["kaiming_normal_conv_linear_weight"]


def kaiming_normal_conv_linear_weight(net: nn.Module) -> None:
    """Draw the weights of all convolution and linear layers anew: Kaiming normal with a = sqrt(5).

    Biases stay. The standard deviation of a weight is 1 / sqrt(3 fan_in).

    Source: He et al., "Delving deep into rectifiers", ICCV 2015.
    """
    for module in net.modules():
        if isinstance(module, _ConvNd | nn.Linear):
            nn.init.kaiming_normal_(module.weight, a=math.sqrt(5))
