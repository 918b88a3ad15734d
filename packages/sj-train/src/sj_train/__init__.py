"""Training of spiking networks: loop, Trainer, checkpoints, TensorBoard."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .checkpoint import TrainingState, load_checkpoint, merge_checkpoint, save_checkpoint
    from .ema import ModelEma
    from .errors import CheckpointError, NonFiniteLossError, TrainError
    from .history import History
    from .loop import evaluate, fit, train_one_epoch
    from .parallel import shard
    from .seeding import seed_worker, set_deterministic

__version__ = "0.1.0"

__all__ = [
    "CheckpointError",
    "History",
    "ModelEma",
    "NonFiniteLossError",
    "TrainError",
    "TrainingState",
    "evaluate",
    "fit",
    "load_checkpoint",
    "merge_checkpoint",
    "save_checkpoint",
    "seed_worker",
    "set_deterministic",
    "shard",
    "train_one_epoch",
]

_HOMES = {
    "checkpoint": ("TrainingState", "load_checkpoint", "merge_checkpoint", "save_checkpoint"),
    "ema": ("ModelEma",),
    "errors": ("CheckpointError", "NonFiniteLossError", "TrainError"),
    "history": ("History",),
    "loop": ("evaluate", "fit", "train_one_epoch"),
    "parallel": ("shard",),
    "seeding": ("seed_worker", "set_deterministic"),
}


def __getattr__(name: str) -> Any:
    # Names are looked up on first use, so that `import sj_train` stays light.
    for module, names in _HOMES.items():
        if name in names:
            return getattr(importlib.import_module(f".{module}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
