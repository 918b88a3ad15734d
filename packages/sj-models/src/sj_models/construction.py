"""Layers that are given their initial values once instead of twice."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import nn

__all__ = ["blank", "kaiming_normal"]

Layer = TypeVar("Layer", bound=nn.Module)


def blank(layer: Callable[..., Layer], *args: Any, **kwargs: Any) -> Layer:
    """A layer whose parameters hold nothing yet: whoever asks for it fills them all."""
    device = torch.get_default_device()
    return layer(*args, device="meta", **kwargs).to_empty(device=device)


def kaiming_normal(net: nn.Module, linear_std: float | None = None) -> None:
    """Fill convolutions by Kaiming's rule (normal, fan out, for ReLU), norms with 1 and 0.

    Biases become 0. Linear layers become normal with `linear_std`, or stay as they are.
    """
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        elif isinstance(module, nn.BatchNorm2d | nn.GroupNorm):
            if module.weight is not None:
                nn.init.constant_(module.weight, 1.0)
        elif isinstance(module, nn.Linear) and linear_std is not None:
            nn.init.normal_(module.weight, 0.0, linear_std)
        else:
            continue
        if module.bias is not None:
            nn.init.constant_(module.bias, 0.0)
