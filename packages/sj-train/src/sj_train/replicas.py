"""The same model on every process, with gradients averaged (DistributedDataParallel).

Buffers that normalisation layers only write while they are trained, their running statistics, are
made the same once per epoch by :func:`share_buffers`; other buffers before every forward pass.
"""

from __future__ import annotations

import inspect
import os
from typing import Any

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

__all__ = ["only_running_statistics", "replicated", "share_buffers"]


def replicated(model: nn.Module, device: torch.device) -> DistributedDataParallel:
    """``model`` with gradients averaged over all processes; process 0 gives the start values.

    Args:
        model: on ``device``.
    """
    # torch renamed the option and warns of the old name.
    known = inspect.signature(DistributedDataParallel).parameters
    name = "forward_sync_buffers" if "forward_sync_buffers" in known else "broadcast_buffers"
    options: dict[str, Any] = {name: not only_running_statistics(model)}
    if device.type == "cpu" and os.environ.get("LOCAL_WORLD_SIZE") == str(dist.get_world_size()):
        # All cores compute: averaging on the side would only take them from the backward pass.
        options["bucket_cap_mb"] = 1 << 20  # MiB
    share_buffers(model)
    return DistributedDataParallel(
        model,
        device_ids=[device] if device.type == "cuda" else None,
        gradient_as_bucket_view=True,
        **options,
    )


@torch.no_grad()
def share_buffers(model: nn.Module) -> None:
    """Give the buffers of process 0 to all others."""
    for buffer in model.buffers():
        whole = buffer.contiguous()
        dist.broadcast(whole, 0)
        buffer.copy_(whole)


def only_running_statistics(model: nn.Module) -> bool:
    """Whether training writes all buffers of ``model`` and reads none."""
    statistics = {
        id(buffer)
        for layer in model.modules()
        if isinstance(layer, nn.modules.batchnorm._NormBase)
        for buffer in layer._buffers.values()
    }
    return all(id(buffer) in statistics for buffer in model.buffers())
