"""Epochs of a task model of sj-models: its own objective, and accuracy where it predicts labels.

Scalars per epoch: ``train_<name>`` and ``test_<name>`` of everything the model reports, the
objective as ``loss``; for classifiers ``test_acc`` (0..1).  Checkpoint keys: ``net optimizer
lr_scheduler epoch max_test_score``; the score is the accuracy, or minus the test loss.
"""

from __future__ import annotations

import argparse
import logging
import math
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.utils.data import DataLoader

from .. import loop
from ..errors import DataError, NonFiniteLossError, OptionError
from ..progress import progress_bar
from ..scalars import ScalarLog
from ..seeding import seed_worker
from .script_run import ScriptRun, claim_run_folder

__all__ = ["TaskData", "task_loaders", "task_run", "train_task"]

_log = logging.getLogger(__name__)


@dataclass
class TaskData:
    """Loaders of pairs (samples, labels); samples ``[N, C, H, W]`` or ``[N, T, C, H, W]``."""

    train: DataLoader[Any]
    test: DataLoader[Any]


def task_loaders(args: argparse.Namespace, sets: tuple[Any, Any], batch_size: int) -> TaskData:
    """Loaders with an order of their own seed.

    Raises:
        DataError: the training set is smaller than a batch.
    """
    if len(sets[0]) < batch_size:
        raise DataError(
            f"the training set has {len(sets[0])} samples, less than one batch of {batch_size}; "
            "lower --batch-size"
        )
    shared: dict[str, Any] = {
        "batch_size": batch_size, "num_workers": args.workers, "worker_init_fn": seed_worker,
    }  # fmt: skip
    order = torch.Generator().manual_seed(args.seed)
    train = DataLoader(sets[0], shuffle=True, drop_last=True, generator=order, **shared)
    return TaskData(train, DataLoader(sets[1], **shared))


def task_run(model: Any, config: dict[str, Any], epochs: int, data: TaskData) -> ScriptRun:
    """What is trained, with the optimizer of ``config`` (``type`` and arguments) and cosine decay.

    Raises:
        OptionError: no such optimizer, or arguments that it does not take.
    """
    arguments = {"type": "AdamW", "lr": 1e-3, **config}
    name = arguments.pop("type")
    found = getattr(torch.optim, str(name), None)
    if not (isinstance(found, type) and issubclass(found, Optimizer)):
        raise OptionError(f"optimizer of the config: torch.optim has no {name!r}")
    try:
        optimizer = found(model.parameters(), **arguments)
    except (TypeError, ValueError) as error:
        raise OptionError(f"optimizer of the config: {name}: {error}") from error
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    generators = loop.loader_generators(train=data.train, test=data.test)
    return ScriptRun(
        model, optimizer, schedule, generators=generators, best_key="max_test_score",
        best=-math.inf,
    )  # fmt: skip


def train_task(
    args: argparse.Namespace,
    run: ScriptRun,
    data: TaskData,
    folder: Path,
    *,
    epochs: int,
    after_epoch: Callable[[int], object] | None = None,
) -> None:
    """Train to ``epochs``, all files below ``folder``.

    Args:
        after_epoch: called with the number of each finished epoch, for pictures.
    """
    claim_run_folder(folder, args, resuming=bool(args.resume), dashes="--")
    _log.info("Output: %s", folder)
    with ScalarLog(folder, first_epoch=run.epoch + 1) as scalars:
        for epoch in range(run.epoch + 1, epochs):
            row = _train_epoch(run, data.train, epoch) | _test(run.net, data.test)
            run.lr_scheduler.step()
            run.epoch = epoch
            score = row.get("test_acc", -row["test_loss"])
            improved = score > run.best
            run.best = max(run.best, score)
            scalars.write(epoch, row)
            if after_epoch is not None:
                after_epoch(epoch)
            run.save(folder, improved=improved)
            numbers = ", ".join(f"{name} = {value:.4f}" for name, value in row.items())
            _log.info("epoch %d of %d: %s", epoch, epochs, numbers)


def as_task_batch(x: Tensor, label: Tensor) -> dict[str, Tensor]:
    """The batch that task models take: time first, where there is time."""
    return {"inputs": x.transpose(0, 1) if x.ndim == 5 else x, "label": label}


def _train_epoch(run: ScriptRun, loader: DataLoader[Any], epoch: int) -> dict[str, float]:
    model: Any = run.net.train()
    means = _Means()
    for step, (x, label) in enumerate(progress_bar(loader, f"epoch {epoch} train", True)):
        total, log = model.train_step(as_task_batch(x, label))
        if not math.isfinite(total.item()):
            raise NonFiniteLossError(
                f"the loss is {total.item()} at epoch {epoch}, batch {step}; the step was not "
                "applied. Lower the learning rate or check the data"
            )
        run.optimizer.zero_grad(set_to_none=True)
        total.backward()
        run.optimizer.step()
        means.add(log, len(x))
    return means.named("train")


@torch.no_grad()
def _test(net: Any, loader: DataLoader[Any]) -> dict[str, float]:
    model = net.eval()
    means = _Means()
    for x, label in loader:
        batch = model.preprocess(as_task_batch(x, label))
        log = {name: _mean(value) for name, value in model(batch, mode="loss").items()}
        if getattr(model, "head", None) is not None and hasattr(model, "predict"):
            found = model(batch, mode="predict")["pred_label"]
            log["acc"] = (found.cpu() == label).float().mean()
        means.add(log, len(x))
    return means.named("test")


def _mean(value: Any) -> Tensor:
    if isinstance(value, list | tuple):
        return torch.stack([_mean(item) for item in value]).sum()
    return torch.as_tensor(value, dtype=torch.float32).mean()


class _Means:
    """Means over samples, by name."""

    def __init__(self) -> None:
        self.sums: dict[str, float] = defaultdict(float)
        self.count = 0

    def add(self, log: dict[str, Tensor], samples: int) -> None:
        for name, value in log.items():
            self.sums[name] += float(value) * samples
        self.count += samples

    def named(self, part: str) -> dict[str, float]:
        if not self.count:
            raise DataError(f"the {part} set is empty")
        return {f"{part}_{name}": value / self.count for name, value in self.sums.items()}
