"""Seeds, deterministic algorithms, and the states of all random generators."""

from __future__ import annotations

import importlib
import os
import random
from types import ModuleType
from typing import Any

import torch

__all__ = [
    "numpy_random",
    "rng_state",
    "seed_everything",
    "seed_worker",
    "set_deterministic",
    "set_rng_state",
]


def numpy_random() -> ModuleType | None:
    """``numpy.random`` where numpy is installed."""
    # numpy arrives with tensorboard; data sets may draw from it, this package does not.
    try:
        return importlib.import_module("numpy.random")
    except ModuleNotFoundError:
        return None


def seed_everything(seed: int) -> None:
    """Seed python, numpy and torch (all devices) with ``seed``."""
    random.seed(seed)
    torch.manual_seed(seed)
    numpy_rng = numpy_random()
    if numpy_rng is not None:
        numpy_rng.seed(seed % 2**32)


def set_deterministic(seed: int = 2020, disable_uda: bool = False) -> None:
    """Seed every generator and ask torch for deterministic algorithms.

    Args:
        seed: seed of python, numpy, torch and all CUDA devices.
        disable_uda: leave ``torch.use_deterministic_algorithms`` alone, for models with
            operations that have no deterministic implementation.
    """
    seed_everything(seed)
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False
    if not disable_uda:
        # cuBLAS reads this when it starts; without it deterministic matmul raises on CUDA.
        os.environ["CUBLAS_WORKSPACE_CONFIG"] = ":4096:8"
        torch.use_deterministic_algorithms(True)


def seed_worker(worker_id: int) -> None:
    """Seed python and numpy in a loader worker from torch's seed (``worker_init_fn``)."""
    seed = torch.initial_seed() % 2**32
    random.seed(seed)
    numpy_rng = numpy_random()
    if numpy_rng is not None:
        numpy_rng.seed(seed)


def rng_state() -> dict[str, Any]:
    """States of all generators as tensors, numbers and strings."""
    state: dict[str, Any] = {"python": random.getstate(), "torch": torch.get_rng_state()}
    if torch.cuda.is_available():
        state["cuda"] = torch.cuda.get_rng_state_all()
    numpy_rng = numpy_random()
    if numpy_rng is not None:
        name, keys, position, has_gauss, cached = numpy_rng.get_state()
        state["numpy"] = (name, [int(key) for key in keys], position, has_gauss, cached)
    return state


def set_rng_state(state: dict[str, Any]) -> None:
    """Put all generators back to a state made by :func:`rng_state`."""
    random.setstate(state["python"])
    torch.set_rng_state(state["torch"])
    cuda = state.get("cuda", [])
    for index in range(min(len(cuda), torch.cuda.device_count())):
        torch.cuda.set_rng_state(cuda[index], index)
    numpy_rng = numpy_random()
    if numpy_rng is not None and "numpy" in state:
        numpy_rng.set_state(state["numpy"])
