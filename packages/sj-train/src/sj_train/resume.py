"""Putting a stored run back: everything is checked before anything is changed."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from . import distributed, sharded
from .checkpoint import LATEST, Position, TrainingState, read_checkpoint
from .errors import CheckpointError
from .history import History

__all__ = ["check_fits", "find_checkpoint", "load_model_weights", "resume"]

_log = logging.getLogger(__name__)


def find_checkpoint(resume_from: str | Path, folder: Path | None) -> Path | None:
    """The file that ``resume_from`` (a path, or ``latest`` in ``folder``) means.

    None where ``latest`` finds nothing: a run killed in its first epoch starts again.
    """
    if str(resume_from) != "latest":
        return Path(resume_from)
    if folder is None:
        raise CheckpointError("resume='latest' needs a checkpoint folder to look in")
    path = folder / LATEST
    if path.is_file():
        return path
    _log.warning("no %s in %s yet: starting from the first epoch", LATEST, folder)
    return None


def check_fits(model: nn.Module, stored: Mapping[str, Any], path: Path) -> None:
    """Raise :class:`CheckpointError` with the first keys that keep ``stored`` from loading."""
    own = model.state_dict()
    problems = []
    if missing := [name for name in own if name not in stored]:
        problems.append(f"missing {_some(missing)}")
    if unexpected := [name for name in stored if name not in own]:
        problems.append(f"unexpected {_some(unexpected)}")
    differing = [
        f"{name} {tuple(stored[name].shape)} instead of {tuple(own[name].shape)}"
        for name in own
        if name in stored and stored[name].shape != own[name].shape
    ]
    if differing:
        problems.append(f"shape of {_some(differing)}")
    if problems:
        raise CheckpointError(
            f"checkpoint {path} is of another model than {type(model).__name__}: "
            + "; ".join(problems)
        )


def load_model_weights(
    path: str | Path, model: nn.Module, ema: nn.Module | None = None
) -> dict[str, Any]:
    """Load only the weights of ``model`` (and the average) from a checkpoint; returns it."""
    path = Path(path)
    content = read_checkpoint(path)
    model = distributed.unwrap(model)
    check_fits(model, content["model"], path)
    if ema is not None and "model_ema" in content:
        check_fits(ema, content["model_ema"], path)
    keys = ("model",) if ema is None else ("model", "model_ema")
    content = sharded.fill(content, path, sharded.layout_of(model, ema), keys=keys)
    if ema is not None and "model_ema" in content:
        ema.load_state_dict(content["model_ema"])
    model.load_state_dict(content["model"])
    return content


def resume(state: TrainingState, path: str | Path) -> None:
    """Continue the run stored at ``path`` in ``state``, random generators included.

    Raises:
        CheckpointError: unreadable, or of another model, optimizer or schedule.
    """
    path = Path(path)
    content = read_checkpoint(path)
    model = distributed.unwrap(state.model)
    check_fits(model, content["model"], path)
    if state.ema is not None and "model_ema" in content:
        check_fits(state.ema, content["model_ema"], path)
    _check_classes(state, content, path)
    layout = sharded.layout_of(model, state.ema, state.optimizer)
    keys = ("model", "optimizer") if state.ema is None else ("model", "optimizer", "model_ema")
    content = sharded.fill(content, path, layout, keys=keys)
    rates = [group["lr"] for group in state.optimizer.param_groups]
    try:
        state.optimizer.load_state_dict(content["optimizer"])
    except (KeyError, ValueError) as error:
        raise CheckpointError(f"checkpoint {path} does not fit the optimizer: {error}") from error
    model.load_state_dict(content["model"])
    if state.scheduler is not None:
        _restore_schedule(state, state.scheduler, content, path, rates)
    if state.scaler is not None and content.get("scaler"):
        state.scaler.load_state_dict(content["scaler"])
    _restore_average(state, content, path)
    state.epoch = int(content["epoch"])
    state.max_test_acc1 = float(content.get("max_test_acc1", -1.0))
    state.max_ema_test_acc1 = float(content.get("max_ema_test_acc1", -1.0))
    history = content.get("history", {"epochs": [], "scalars": {}})
    state.history = History(list(history["epochs"]), dict(history["scalars"]))
    _restore_randomness(state, content, path)
    step = 0 if state.position is None else state.position.step
    _log.info("resumed %s: epoch %d, batch %d comes next", path, state.epoch + 1, step)


def _some(names: list[str]) -> str:
    more = f" and {len(names) - 2} more" if len(names) > 2 else ""
    return ", ".join(names[:2]) + more


def _check_classes(state: TrainingState, content: dict[str, Any], path: Path) -> None:
    for key in ("optimizer", "epoch"):
        if key not in content:
            raise CheckpointError(f"checkpoint {path} has no {key!r}: it cannot be resumed")
    # Schedules differ freely between torch versions and ours; only their presence is compared
    # for files of other programs, which have no record of the class.
    recorded = content.get("classes", {})
    for key, current in (("optimizer", state.optimizer), ("lr_scheduler", state.scheduler)):
        stored = recorded.get(key, type(current).__name__)
        if stored != type(current).__name__:
            raise CheckpointError(
                f"checkpoint {path} was written with {key} {stored}, this run uses "
                f"{type(current).__name__}; resume with the options it was started with"
            )
    if state.scheduler is not None and content.get("lr_scheduler") is None:
        raise CheckpointError(f"checkpoint {path} holds no schedule, this run has one")


def _restore_schedule(
    state: TrainingState,
    scheduler: LRScheduler,
    content: dict[str, Any],
    path: Path,
    rates: list[Any],
) -> None:
    """Put the schedule where it was, or with another ``epochs`` where it would be.

    Args:
        rates: learning rates of the new schedule before its first step.
    """
    stored, finished = content["lr_scheduler"], int(content["epoch"]) + 1
    before, now = dict(content.get("args") or {}), state.args
    # Schedules that are stepped at other times have another count.
    each_epoch = stored.get("last_epoch") == finished
    if each_epoch and _differs(before, now, "epochs") and not _needs_a_value(scheduler):
        for group, rate in zip(state.optimizer.param_groups, rates, strict=True):
            group["lr"] = rate
        with warnings.catch_warnings():
            # torch expects an optimizer step before each.
            warnings.simplefilter("ignore")
            for _ in range(finished):
                scheduler.step()
        _log.warning(
            "%s was written with %s epochs, this run has %s: the learning rate follows the "
            "schedule of the new number",
            path,
            before["epochs"],
            now["epochs"],
        )
        return
    if ("_schedulers" in stored) != ("_schedulers" in scheduler.state_dict()):
        raise CheckpointError(
            f"checkpoint {path} was written with another schedule than this run's "
            f"{type(scheduler).__name__}; resume with the options it was started with"
        )
    scheduler.load_state_dict(stored)
    for name in ("lr", "lr_step_size", "lr_gamma", "lr_warmup_epochs", "lr_warmup_decay"):
        if _differs(before, now, name):
            flag = "--" + name.replace("_", "-")
            _log.warning("%s: %s stays %s as in the checkpoint", path, flag, before[name])


def _needs_a_value(scheduler: LRScheduler) -> bool:
    return isinstance(scheduler, ReduceLROnPlateau)


def _differs(before: Mapping[str, Any], now: Mapping[str, Any], name: str) -> bool:
    return name in before and name in now and before[name] != now[name]


def _restore_average(state: TrainingState, content: dict[str, Any], path: Path) -> None:
    if state.ema is None:
        return
    if "model_ema" in content:
        state.ema.load_state_dict(content["model_ema"])
    else:
        state.ema.update(distributed.unwrap(state.model))
        state.ema.n_averaged.zero_()
        _log.warning("%s holds no averaged model: the average starts from its weights", path)


def _restore_randomness(state: TrainingState, content: dict[str, Any], path: Path) -> None:
    """Random states and the position within an epoch, each process its own."""
    states = content.get("rng")
    position = content.get("position")
    ranks, rank = distributed.world_size(), distributed.rank()
    if states is not None and len(states) == ranks:
        mine = {"rng": states[rank], "loader_generators": content["loader_generators"][rank]}
        state.set_randomness(mine)
    else:
        stored = "none" if states is None else f"those of {len(states)} processes"
        _log.warning(
            "%s has random states of %d processes: %s; going on, but not bit for bit as an "
            "uninterrupted run",
            path,
            ranks,
            stored,
        )
    state.position = None
    if position is not None:
        state.position = _position_of(position, rank, ranks)


def _position_of(stored: dict[str, Any], rank: int, ranks: int) -> Position:
    entries = stored["ranks"]
    step, samples = int(stored["step"]), int(stored["samples"])
    if len(entries) == ranks:
        return Position(step, samples, list(entries[rank]["sums"]), entries[rank]["start"])
    # Other processes than those that stopped: rank 0 goes on with the sums of all.
    sums = [
        float(sum(column)) for column in zip(*(entry["sums"] for entry in entries), strict=True)
    ]
    return Position(step, samples, sums if rank == 0 else [0.0 for _ in sums], None)
