"""What a model costs: parameters, operations, time."""

from __future__ import annotations

import time
from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from .models import BaseModel

__all__ = ["ModelCost", "measure_cost"]

_SPIKE_RATE = 0.3


class ModelCost(NamedTuple):
    """Costs of one call.

    ``params_m`` millions of parameters; ``flops_g`` 10^9 floating-point operations of convolutions
    and matrix products, a multiplication and its addition counted as two; ``macs_g`` half of that,
    which many tables call FLOPs; ``latency_ms`` mean milliseconds of a call.
    """

    params_m: float
    flops_g: float
    macs_g: float
    latency_ms: float


def measure_cost(
    model: BaseModel,
    shape: tuple[int, int, int, int] = (1, 200, 250, 400),
    *,
    calls: int = 100,
    warmup: int = 3,
    max_seconds: float = 20.0,
) -> ModelCost:
    """Costs of ``model`` on its device, for random spikes ``[B, T, H, W]``.

    The first ``warmup`` calls are not timed; the device is synchronised around the timed ones.

    Args:
        model: a model whose network is built.
        shape: of the spikes.
        calls: timed calls.
        warmup: calls before them.
        max_seconds: stop after this time, with at least one timed call.

    Raises:
        ValueError: a count or time that is not positive, or too few frames for the model.
    """
    if calls < 1 or warmup < 0 or not max_seconds > 0 or min(shape) < 1:
        raise ValueError("shape, calls and max_seconds must be positive, warmup not negative")
    generator = torch.Generator().manual_seed(0)
    spike = (torch.rand(shape, generator=generator) < _SPIKE_RATE).to(model.device, torch.float32)
    with torch.no_grad():
        with FlopCounterMode(display=False) as counter:
            model(spike)
        latency = _latency(model, spike, calls, warmup, max_seconds)
    flops = counter.get_total_flops()
    n_params = sum(p.numel() for p in model.network().parameters())
    return ModelCost(n_params / 1e6, flops / 1e9, flops / 2e9, latency)


def _latency(model: BaseModel, spike: Tensor, calls: int, warmup: int, max_seconds: float) -> float:
    """Milliseconds of a call."""
    begin = time.perf_counter()
    for _ in range(warmup):
        model(spike)
        _synchronise(spike.device)
        if time.perf_counter() - begin > max_seconds / 2:
            break
    done, start = 0, time.perf_counter()
    while done < calls and (done == 0 or time.perf_counter() - begin < max_seconds):
        model(spike)
        done += 1
        if done % 10 == 0:
            _synchronise(spike.device)  # or else the queue hides how much time has passed
    _synchronise(spike.device)
    return (time.perf_counter() - start) / done * 1e3


def _synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
