"""Sums over processes that gradients flow through."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

__all__ = ["over_processes"]


class _Sum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        total = x.contiguous().clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> Tensor:
        # Each process has a loss of its own; all of them depend on x.
        grad = grad_outputs[0].contiguous().clone()
        dist.all_reduce(grad)
        return grad


def over_processes(x: Tensor) -> Tensor:
    """The sum of ``x`` over all processes, on each; ``x`` itself without others."""
    if not dist.is_available() or not dist.is_initialized() or dist.get_world_size() == 1:
        return x
    total = _Sum.apply(x)
    assert isinstance(total, Tensor)
    return total
