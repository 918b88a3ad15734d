"""Ranks, reductions over ranks, and unwrapping of wrapped models."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import nn

from .cuda_graph import CapturedModel
from .sync_norm import synchronised
from .time_chunks import BlockCheckpoints, TimeChunks

__all__ = [
    "all_gather",
    "convert_sync_batchnorm",
    "is_initialised",
    "rank",
    "sum_over_ranks",
    "unwrap",
    "world_size",
]


def is_initialised() -> bool:
    return dist.is_available() and dist.is_initialized()


def rank() -> int:
    return dist.get_rank() if is_initialised() else 0


def world_size() -> int:
    return dist.get_world_size() if is_initialised() else 1


def sum_over_ranks(values: list[float], device: torch.device) -> list[float]:
    """Sum each number over all ranks."""
    if world_size() == 1:
        return values
    total = torch.tensor(values, dtype=torch.float64, device=device)
    dist.all_reduce(total)
    return total.tolist()


def all_gather(value: Any) -> list[Any]:
    """One value per rank, in rank order."""
    if world_size() == 1:
        return [value]
    gathered: list[Any] = [None] * world_size()
    dist.all_gather_object(gathered, value)
    return gathered


def unwrap(model: nn.Module) -> nn.Module:
    """The module inside wrappers: of several processes, time chunks, CUDA graphs, compiled."""
    wrappers = (nn.parallel.DistributedDataParallel, TimeChunks, BlockCheckpoints, CapturedModel)
    while True:
        if isinstance(model, wrappers):
            model = model.module
        elif isinstance(inner := getattr(model, "_orig_mod", None), nn.Module):
            model = inner
        else:
            return model


def convert_sync_batchnorm(model: nn.Module) -> nn.Module:
    """Replace BatchNorm layers by ones with statistics over all ranks.

    Step-mode layers convert themselves through their ``to_sync_batchnorm()`` method.
    """
    convert = getattr(model, "to_sync_batchnorm", None)
    if callable(convert):
        converted = convert()
        if not isinstance(converted, nn.Module):
            raise TypeError(f"{type(model).__name__}.to_sync_batchnorm() returned no module")
        return converted
    if isinstance(model, nn.modules.batchnorm._BatchNorm):
        return synchronised(model)
    for name, child in model.named_children():
        setattr(model, name, convert_sync_batchnorm(child))
    return model
