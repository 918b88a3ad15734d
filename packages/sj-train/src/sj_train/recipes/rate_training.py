"""Training of firing rates: what the three scripts of the notes share.

    loss = mean((rate - onehot(label))^2)        rate [N, K] = mean of the output over time

SGD or Adam, cosine schedule over all epochs, incomplete training batches dropped, neurons reset
after each batch.  Scalars per epoch: ``train_loss train_acc test_loss test_acc``, accuracies 0..1.
"""

from __future__ import annotations

import argparse
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss, one_hot
from torch.utils.data import DataLoader

from .. import loop
from ..errors import ClassCountError, DataError, OptionError
from ..metrics import Scores
from ..scalars import ScalarLog
from ..seeding import seed_everything, seed_worker
from .command import add_fake_data, check_at_least, default_device, usable_device
from .script_run import ScriptRun, claim_run_folder

__all__ = ["FAKE_DEFAULTS", "RateTask", "add_flags", "rate_loss", "train_rates"]

_log = logging.getLogger(__name__)

FAKE_DEFAULTS: dict[str, Any] = {
    "device": default_device(), "epochs": 4, "b": 16, "j": 0, "opt": "adam", "lr": 0.003,
}  # fmt: skip


@dataclass
class RateTask:
    """A net and its data.

    Attributes:
        build_net: the net, in many-step mode; called after seeding.
        to_sequence: a batch of the loader to the input of the net.
        to_rate: output of the net to firing rates ``[N, K]``.
        classes: number of classes K.
        name: name of the run's folder, without its endings for ``-amp`` and ``-cupy``.
    """

    build_net: Callable[[], nn.Module]
    train_set: Any
    test_set: Any
    classes: int
    name: str
    to_sequence: Callable[[Tensor], Tensor] = loop.identity
    to_rate: Callable[[Tensor], Tensor] = loop.identity


def add_flags(parser: argparse.ArgumentParser) -> None:
    """The flags that all three scripts have."""
    add = parser.add_argument
    add("-device", default="cuda:0", help="device (default: cuda:0)")
    add("-epochs", default=64, type=int, metavar="N", help="total epochs to run (default: 64)")
    add("-j", default=4, type=int, metavar="N", help="data loading workers (default: 4)")
    add("-data-dir", help="folder of the data set")
    add("-out-dir", default="./logs", help="folder for logs and checkpoints (default: ./logs)")
    add("-resume", help="checkpoint to go on from")
    add("-clean", action="store_true", help="replace an earlier run with these options")
    add("-amp", action="store_true", help="mixed precision: fp16 on cuda, bf16 on cpu")
    add("-cupy", action="store_true", help="run the neurons on the cupy backend")
    add("-opt", help="optimizer: sgd or adam (required)")
    add("-momentum", default=0.9, type=float, help="momentum of sgd (default: 0.9)")
    add("-lr", default=0.1, type=float, help="learning rate (default: 0.1)")
    add("-seed", default=2020, type=int, help="random seed (default: 2020)")
    add_fake_data(parser)


def check_flags(args: argparse.Namespace, **lowest: float) -> None:
    """Refuse values that cannot work; ``lowest`` adds a script's own flags."""
    check_at_least(args, "-", epochs=1, b=1, j=0, lr=0.0, **lowest)
    if args.opt is None:
        raise OptionError("argument -opt: is required, sgd or adam")
    if args.opt.lower() not in ("sgd", "adam"):
        raise OptionError(f"argument -opt: must be sgd or adam, got {args.opt!r}")


def rate_loss(classes: int) -> Callable[[Tensor, Tensor], Tensor]:
    """Mean squared distance of rates ``[N, K]`` and one-hot labels."""

    def loss(rate: Tensor, label: Tensor) -> Tensor:
        return mse_loss(rate, one_hot(label, classes).to(rate.dtype))

    return loss


def run_folder(args: argparse.Namespace, name: str) -> Path:
    """``<out-dir>/<name>[_amp][_cupy]``."""
    return Path(args.out_dir) / (name + "_amp" * args.amp + "_cupy" * args.cupy)


def build_run(
    args: argparse.Namespace, task: RateTask
) -> tuple[ScriptRun, dict[str, DataLoader[Any]]]:
    """Net, optimizer and loaders, seeded, and resumed if asked for; writes nothing.

    Raises:
        TrainError: data, options or checkpoint cannot be used.
    """
    device = usable_device(args.device)
    if len(task.train_set) < args.b:
        raise DataError(
            f"the training set has {len(task.train_set)} samples, less than one batch of "
            f"{args.b}; lower -b"
        )
    found = len(getattr(task.train_set, "classes", range(task.classes)))
    if found != task.classes:
        raise ClassCountError(f"the data have {found} classes, the net {task.classes}")
    seed_everything(args.seed)
    net = task.build_net().to(device)
    loaders = build_loaders(args, task)
    generators = loop.loader_generators(**loaders)
    optimizer = build_optimizer(args, net)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, args.epochs)
    use_scaler = args.amp and device.type == "cuda"
    scaler = torch.amp.GradScaler(device.type) if use_scaler else None
    run = ScriptRun(net, optimizer, schedule, scaler, generators)
    if args.resume:
        run.resume(Path(args.resume))
    return run, loaders


def build_loaders(args: argparse.Namespace, task: RateTask) -> dict[str, DataLoader[Any]]:
    shared: dict[str, Any] = {
        "batch_size": args.b,
        "num_workers": args.j,
        "pin_memory": str(args.device).startswith("cuda"),
        "worker_init_fn": seed_worker,
    }
    order = torch.Generator().manual_seed(args.seed)
    train = DataLoader(task.train_set, shuffle=True, drop_last=True, generator=order, **shared)
    return {"train": train, "test": DataLoader(task.test_set, **shared)}


def build_optimizer(args: argparse.Namespace, net: nn.Module) -> torch.optim.Optimizer:
    if args.opt.lower() == "sgd":
        return torch.optim.SGD(net.parameters(), lr=args.lr, momentum=args.momentum)
    return torch.optim.Adam(net.parameters(), lr=args.lr)


def train_rates(args: argparse.Namespace, task: RateTask) -> ScriptRun:
    """Whole run: train, test, log and save after each epoch."""
    run, loaders = build_run(args, task)
    folder = run_folder(args, task.name)
    claim_run_folder(folder, args, resuming=bool(args.resume))
    _log.info("Output: %s", folder)
    device = next(run.net.parameters()).device
    amp = (torch.float16 if device.type == "cuda" else torch.bfloat16) if args.amp else None
    shared: dict[str, Any] = {
        "criterion": rate_loss(task.classes),
        "device": device,
        "preprocess": task.to_sequence,
        "process_output": task.to_rate,
    }
    with ScalarLog(folder, first_epoch=run.epoch + 1) as scalars:
        for epoch in range(run.epoch + 1, args.epochs):
            started = time.perf_counter()
            trained = loop.train_one_epoch(
                run.net, loaders["train"], optimizer=run.optimizer, epoch=epoch, amp_dtype=amp,
                scaler=run.scaler, **shared,
            )  # fmt: skip
            between = time.perf_counter()
            tested = loop.evaluate(run.net, loaders["test"], **shared)
            finished = time.perf_counter()
            run.lr_scheduler.step()
            run.epoch = epoch
            row = _row("train", trained) | _row("test", tested)
            improved = row["test_acc"] > run.best
            run.best = max(run.best, row["test_acc"])
            scalars.write(epoch, row)
            run.save(folder, improved=improved)
            _report(row, run, args.epochs)
            _log.info(
                "train speed = %.1f images/s, test speed = %.1f images/s, escape time = %s",
                len(loaders["train"]) * args.b / (between - started),
                len(task.test_set) / (finished - between),
                _clock(time.time() + (finished - started) * (args.epochs - epoch - 1)),
            )
    return run


def _row(part: str, scores: Scores) -> dict[str, float]:
    return {f"{part}_loss": scores.loss, f"{part}_acc": scores.acc1 / 100}


def _report(row: dict[str, float], run: ScriptRun, epochs: int) -> None:
    numbers = ", ".join(f"{name} = {value:.4f}" for name, value in row.items())
    _log.info("epoch = %d of %d, %s, max_test_acc = %.4f", run.epoch, epochs, numbers, run.best)


def _clock(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))
