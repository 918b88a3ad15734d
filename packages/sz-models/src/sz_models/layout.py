"""Memory layout of images in which convolutions are fastest."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["cpu_layout"]


def cpu_layout(x: Tensor) -> Tensor:
    """``[B, C, H, W]`` with its channels side by side in memory, on a CPU and without gradients.

    Convolutions keep the layout and need not change it themselves, up to a third of their time.
    With gradients there is little to gain, and the published layout keeps the published rounding:
    the gradient of a rectifier hangs on the sign of values near 0.
    """
    if x.device.type == "cpu" and not torch.is_grad_enabled():
        return x.contiguous(memory_format=torch.channels_last)
    return x
