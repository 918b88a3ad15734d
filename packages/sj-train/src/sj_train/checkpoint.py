"""Checkpoints: atomic, loadable weights-only, and enough to go on bit for bit.

Files in the checkpoint folder:

    checkpoint_latest.pth             the newest epoch, or a point within the next one
    checkpoint_<epoch>.pth            the same file under its number; older numbers are removed
    checkpoint_max_test_acc1.pth      the best test accuracy so far
    checkpoint_max_ema_test_acc1.pth  the best of the averaged model, with EMA

Keys: ``model optimizer lr_scheduler epoch args max_test_acc1 [model_ema max_ema_test_acc1]
[scaler]``, and ``classes rng loader_generators history [position] [shards]``.  The values of
models that are spread over processes lie in a folder beside, see :mod:`sj_train.sharded`.
"""

from __future__ import annotations

import argparse
import pickle
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from . import distributed, files, sharded
from .ema import ModelEma
from .errors import CheckpointError
from .history import History
from .seeding import rng_state, set_rng_state

__all__ = [
    "BEST",
    "BEST_EMA",
    "LATEST",
    "Position",
    "TrainingState",
    "load_checkpoint",
    "merge_checkpoint",
    "plain_args",
    "read_checkpoint",
    "save_checkpoint",
]

LATEST = "checkpoint_latest.pth"
BEST = "checkpoint_max_test_acc1.pth"
BEST_EMA = "checkpoint_max_ema_test_acc1.pth"
_NUMBERED = re.compile(r"checkpoint_\d+\.pth")


@dataclass
class Position:
    """A point within the epoch after :attr:`TrainingState.epoch`.

    Attributes:
        step: batches that are done.
        samples: those of all processes together.
        sums: what the pass has added up so far on this process.
        start: random states before the first batch; None if those of this process are unknown.
    """

    step: int
    samples: int
    sums: list[float]
    start: dict[str, Any] | None


@dataclass
class TrainingState:
    """Everything a checkpoint holds.

    Attributes:
        epoch: last finished epoch, -1 before the first.
        max_test_acc1: best test accuracy so far in percent, -1 before the first.
        generators: random generators of loaders and samplers, by name.
        args: settings of the run; plain values, stored for the reader.
        position: the point within the next epoch that the state stands for; None between epochs.
    """

    model: nn.Module
    optimizer: Optimizer
    scheduler: LRScheduler | None = None
    scaler: torch.amp.GradScaler | None = None
    ema: ModelEma | None = None
    generators: dict[str, torch.Generator] = field(default_factory=dict)
    args: dict[str, Any] = field(default_factory=dict)
    history: History = field(default_factory=History)
    epoch: int = -1
    max_test_acc1: float = -1.0
    max_ema_test_acc1: float = -1.0
    position: Position | None = None

    def randomness(self) -> dict[str, Any]:
        """States of all random generators of this process."""
        loaders = {name: generator.get_state() for name, generator in self.generators.items()}
        return {"rng": rng_state(), "loader_generators": loaders}

    def set_randomness(self, states: dict[str, Any]) -> None:
        """Put back what :meth:`randomness` gave."""
        for name, generator_state in states["loader_generators"].items():
            if name in self.generators:
                self.generators[name].set_state(generator_state)
        set_rng_state(states["rng"])

    def record(self, epoch: int, row: dict[str, float]) -> list[str]:
        """Note a finished epoch; returns the names of the best-so-far files it earns."""
        self.epoch = epoch
        self.history.add(epoch, row)
        earned = []
        if row.get("test_acc1", -1.0) > self.max_test_acc1:
            self.max_test_acc1 = row["test_acc1"]
            earned.append(BEST)
        if row.get("ema_test_acc1", -1.0) > self.max_ema_test_acc1:
            self.max_ema_test_acc1 = row["ema_test_acc1"]
            earned.append(BEST_EMA)
        return earned

    def to_dict(self) -> dict[str, Any]:
        """The checkpoint's content, without random states."""
        content: dict[str, Any] = {
            "model": distributed.unwrap(self.model).state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "lr_scheduler": None if self.scheduler is None else self.scheduler.state_dict(),
            "epoch": self.epoch,
            "args": plain_args(self.args),
            "max_test_acc1": self.max_test_acc1,
            "classes": {
                "optimizer": type(self.optimizer).__name__,
                "lr_scheduler": type(self.scheduler).__name__,
            },
            "history": {"epochs": self.history.epochs, "scalars": self.history.scalars},
        }
        if self.ema is not None:
            content["model_ema"] = self.ema.state_dict()
            content["max_ema_test_acc1"] = self.max_ema_test_acc1
        if self.scaler is not None:
            content["scaler"] = self.scaler.state_dict()
        return content


def save_checkpoint(state: TrainingState, folder: Path, *, best: Iterable[str] = ()) -> None:
    """Write the state; every rank calls this, rank 0 writes, and all ranks what is spread.

    A finished epoch gets a numbered file too, a position within one only the latest.

    Args:
        best: further file names the state is stored under, from :meth:`TrainingState.record`.

    Raises:
        CheckpointError: the state holds an object that a weights-only file cannot.
        OutputError: the disk is full or the folder not writable; older files stay intact.
    """
    position = state.position
    own = state.randomness()
    if position is not None:
        own["position"] = {"sums": position.sums, "start": position.start}
    content, parts = sharded.split(state.to_dict())
    _refuse_objects(content, "")
    if parts:
        point = state.epoch if position is None else f"{state.epoch + 1}_{position.step}"
        own["shards"] = sharded.free_name(folder, f"checkpoint_{point}")
    per_rank = distributed.all_gather(own)
    if parts:
        content["shards"] = per_rank[0]["shards"]
        sharded.write_parts(parts, folder / content["shards"])
    if distributed.rank() != 0:
        return
    content["rng"] = [entry["rng"] for entry in per_rank]
    content["loader_generators"] = [entry["loader_generators"] for entry in per_rank]
    if position is not None:
        ranks = [entry["position"] for entry in per_rank]
        content["position"] = {"step": position.step, "samples": position.samples, "ranks": ranks}
    _refuse_objects(content, "")
    _write(content, folder, best, within=position is not None)
    sharded.remove_unnamed(folder)


def _write(content: dict[str, Any], folder: Path, best: Iterable[str], *, within: bool) -> None:
    if within:
        files.write_atomic(folder / LATEST, lambda file: torch.save(content, file))
        return
    numbered = folder / f"checkpoint_{content['epoch']}.pth"
    files.write_atomic(numbered, lambda file: torch.save(content, file))
    # The latest file comes last: killed before it, the run repeats the epoch and rewrites all.
    for name in [*best, LATEST]:
        files.link_or_copy(numbered, folder / name)
    for old in folder.iterdir():
        if _NUMBERED.fullmatch(old.name) and old != numbered:
            old.unlink(missing_ok=True)


def load_checkpoint(path: str | Path) -> dict[str, Any]:
    """Read a checkpoint without running code from it; an argparse Namespace becomes a dict.

    Parts of a model that was spread over processes are put together.

    Raises:
        CheckpointError: missing, damaged, or not a checkpoint; the text names the file.
    """
    content = sharded.fill(read_checkpoint(path), Path(path))
    content.pop("shards", None)
    return content


def merge_checkpoint(path: str | Path, output: str | Path) -> None:
    """Write the checkpoint ``path``, whose values lie in a folder beside it, as one file.

    Raises:
        CheckpointError: see :func:`load_checkpoint`.
        OutputError: ``output`` cannot be written; an older file stays intact.
    """
    content = load_checkpoint(path)
    files.write_atomic(Path(output), lambda file: torch.save(content, file))


def read_checkpoint(path: str | Path) -> dict[str, Any]:
    """The file itself; what lies in a folder beside it has no values (device ``meta``)."""
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"checkpoint {path} does not exist")
    try:
        with torch.serialization.safe_globals([argparse.Namespace]):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"checkpoint {path} is damaged or holds objects that are not loaded for safety"
        ) from error
    except (OSError, RuntimeError, EOFError, ValueError, KeyError) as error:
        raise CheckpointError(f"checkpoint {path} is damaged or no torch file") from error
    if not isinstance(content, dict) or not isinstance(content.get("model"), Mapping):
        raise CheckpointError(f"{path} is no training checkpoint: it has no state dict 'model'")
    if isinstance(content.get("args"), argparse.Namespace):
        content["args"] = vars(content["args"])
    return content


def plain_args(args: Mapping[str, Any]) -> dict[str, Any]:
    """``args`` with every value that is not a number, string, bool, None or list as text."""
    plain = (bool, int, float, str, type(None))

    def convert(value: Any) -> Any:
        if isinstance(value, list | tuple):
            return [convert(item) for item in value]
        return value if type(value) in plain else str(value)

    return {str(name): convert(value) for name, value in args.items()}


def _refuse_objects(value: Any, where: str) -> None:
    """Raise for anything that ``torch.load(weights_only=True)`` would refuse later."""
    if isinstance(value, torch.Tensor) or value is None:
        return
    if isinstance(value, Mapping):
        for key, item in value.items():
            _refuse_objects(item, f"{where}.{key}" if where else str(key))
    elif isinstance(value, list | tuple | set):
        for item in value:
            _refuse_objects(item, where)
    elif type(value) not in (bool, int, float, complex, str, bytes, torch.dtype, torch.device):
        raise CheckpointError(
            f"{where} holds a {type(value).__name__}, which a checkpoint cannot store; keep "
            "tensors, numbers, strings, lists and dicts in state dicts"
        )
