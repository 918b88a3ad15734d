"""Whole runs for any model and any loaders: train, evaluate, log, checkpoint, resume.

Scalar tags per epoch: ``train_loss train_acc1 train_acc5 test_loss test_acc1 test_acc5``, with an
averaged model also ``ema_test_loss ema_test_acc1 ema_test_acc5``; those of ``watch`` besides.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau
from torch.utils.data import DataLoader

from . import distributed, files
from .checkpoint import BEST, BEST_EMA, LATEST, TrainingState, save_checkpoint
from .ema import ModelEma
from .epoch import Accuracy, Criterion, Transform, evaluate, identity, train_one_epoch
from .errors import RunExistsError
from .history import History
from .metrics import Scores, top1_top5
from .position import ResumableLoader
from .resume import find_checkpoint
from .resume import resume as resume_run
from .scalars import ScalarLog
from .seeding import seed_everything
from .watch import Watch, count_samples

__all__ = [
    "Criterion",
    "History",
    "evaluate",
    "fit",
    "identity",
    "loader_generators",
    "named_scores",
    "resumable",
    "run_epochs",
    "train_one_epoch",
]

_log = logging.getLogger(__name__)


def fit(
    model: nn.Module,
    train_loader: DataLoader[Any],
    test_loader: DataLoader[Any] | None = None,
    *,
    epochs: int,
    optimizer: Optimizer,
    criterion: Criterion,
    device: torch.device | str = "cpu",
    scheduler: LRScheduler | None = None,
    log_dir: str | Path | None = None,
    checkpoint_dir: str | Path | None = None,
    resume: str | Path | None = None,
    overwrite: bool = False,
    preprocess: Transform = identity,
    process_output: Transform = identity,
    accuracy: Accuracy = top1_top5,
    amp_dtype: torch.dtype | None = None,
    scaler: torch.amp.GradScaler | None = None,
    clip_grad_norm: float | None = None,
    ema: ModelEma | None = None,
    args: Mapping[str, Any] | None = None,
    progress: bool = True,
    seed: int | None = None,
    checkpoint_every_steps: int = 0,
    figures_every: int = 0,
) -> History:
    """Train ``model`` for ``epochs`` epochs and evaluate it after each.

    Args:
        model: on ``device`` already, with its parameters in ``optimizer``.
        criterion: takes ``(output, target)``, returns the loss.
        scheduler: stepped once per epoch.
        log_dir: TensorBoard folder; None writes no log.
        checkpoint_dir: folder of the checkpoints; None writes none.
        resume: a checkpoint path, or ``"latest"`` for the newest in ``checkpoint_dir``. The run
            goes on as if it had never stopped, bit for bit on a CPU.
        overwrite: remove the log and checkpoints of an earlier run in these folders.
        preprocess: applied to each input on the device, for example
            ``lambda x: x.expand(T, *x.shape)``.
        process_output: applied to the model's output, for example ``lambda y: y.mean(0)``.
        accuracy: gives Acc@1 and Acc@5 in percent from ``(output, target)``.
        ema: averaged model, evaluated after each epoch too.
        args: settings stored in the checkpoints.
        progress: show a bar on rank 0 when standard error is a terminal.
        seed: seeds all generators when the run starts.
        checkpoint_every_steps: batches between checkpoints within an epoch; 0 writes them only
            after each epoch.
        figures_every: epochs between pictures of the spikes in the log; 0 draws none.

    Raises:
        RunExistsError: the folders hold a run and neither ``resume`` nor ``overwrite`` is given.
        CheckpointError, NonFiniteLossError, ClassCountError, DataError, OutputError: see there.
    """
    if epochs < 1:
        raise ValueError(f"epochs must be at least 1, got {epochs}")
    log_folder = None if log_dir is None else Path(log_dir)
    folder = None if checkpoint_dir is None else Path(checkpoint_dir)
    start = None if resume is None else find_checkpoint(resume, folder)
    _claim_folders(log_folder, folder, resuming=resume is not None, overwrite=overwrite)
    if seed is not None:
        seed_everything(seed)
    state = TrainingState(model, optimizer, scheduler, scaler, ema)
    state.args = dict(args or {}, epochs=epochs, seed=seed)
    state.generators = loader_generators(train=train_loader, test=test_loader)
    if start is not None:
        resume_run(state, start)
    train_loader = resumable(train_loader, state, folder, every=checkpoint_every_steps)
    shared: dict[str, Any] = {
        "criterion": criterion,
        "device": device,
        "preprocess": preprocess,
        "process_output": process_output,
        "accuracy": accuracy,
        "progress": progress,
    }
    train = partial(
        train_one_epoch,
        model,
        train_loader,
        optimizer=optimizer,
        amp_dtype=amp_dtype,
        scaler=scaler,
        clip_grad_norm=clip_grad_norm,
        ema=ema,
        **shared,
    )
    samples = {"train": count_samples(train_loader)}
    tests: dict[str, Callable[[], Scores]] = {}
    if test_loader is not None:
        tests["test"] = partial(evaluate, distributed.unwrap(model), test_loader, **shared)
        if ema is not None:
            tests["ema_test"] = partial(evaluate, ema, test_loader, label="ema test", **shared)
        samples |= dict.fromkeys(tests, count_samples(test_loader))
    return run_epochs(
        state,
        epochs=epochs,
        train=lambda epoch: train(epoch=epoch),
        tests=tests,
        log_dir=log_folder,
        checkpoint_dir=folder,
        watch=Watch(distributed.unwrap(model), samples, figures_every=figures_every),
    )


def resumable(
    loader: DataLoader[Any],
    state: TrainingState,
    folder: Path | None,
    *,
    every: int,
    accumulate: int = 1,
) -> DataLoader[Any]:
    """``loader`` where nothing happens within an epoch, else one that stops and goes on there."""
    if not every and state.position is None:
        return loader
    return cast(
        "DataLoader[Any]",
        ResumableLoader(loader, state, folder=folder, every=every, accumulate=accumulate),
    )


def run_epochs(
    state: TrainingState,
    *,
    epochs: int,
    train: Callable[[int], Scores],
    tests: Mapping[str, Callable[[], Scores]],
    log_dir: Path | None = None,
    checkpoint_dir: Path | None = None,
    watch: Watch | None = None,
) -> History:
    """Run the epochs that ``state`` has not finished yet.

    Args:
        state: what is trained; holds the number of the last finished epoch.
        train: trains one epoch, given its number.
        tests: evaluations after each epoch, by the prefix of their tags (``test``, ``ema_test``).
        watch: measures the passes for the log.
    """
    watch = watch or Watch()
    first = state.epoch + 1
    if first >= epochs:
        _log.info("epoch %d of %d is finished already: nothing to train", state.epoch, epochs)
    started = time.time()
    with ScalarLog(log_dir, first_epoch=first) as scalars:
        for epoch in range(first, epochs):
            watch.begin(epoch, state.optimizer)
            row = named_scores("train", watch.measure("train", partial(train, epoch)))
            for name, test in tests.items():
                row |= named_scores(name, watch.measure(name, test))
            _advance(state.scheduler, row)
            best = state.record(epoch, row)
            try:
                scalars.write(epoch, row | watch.row())
                if distributed.rank() == 0 and (figure := watch.figure(epoch)) is not None:
                    scalars.write_figure(epoch, "spikes", figure)
            finally:
                # The epoch is worth more than its log. It comes second all the same: a run killed
                # in between goes on with a complete log.
                if checkpoint_dir is not None:
                    save_checkpoint(state, checkpoint_dir, best=best)
            _say_done(state, epochs, (time.time() - started) / (epoch - first + 1))
    return state.history


def _say_done(state: TrainingState, epochs: int, seconds_per_epoch: float) -> None:
    if distributed.rank() == 0:
        finish = time.time() + seconds_per_epoch * (epochs - state.epoch - 1)
        _log.info(
            "epoch %d of %d done, best test acc1 %.3f. Estimated finish time: %s",
            state.epoch,
            epochs,
            state.max_test_acc1,
            time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(finish)),
        )


def loader_generators(**loaders: DataLoader[Any] | None) -> dict[str, torch.Generator]:
    """The random generators that loaders and their samplers own, each once."""
    found: dict[str, torch.Generator] = {}
    for name, loader in loaders.items():
        if loader is None:
            continue
        if loader.persistent_workers:
            _log.warning(
                "the %s loader keeps its workers: a resumed run repeats an uninterrupted one "
                "bit for bit only if the data set draws no random numbers in them",
                name,
            )
        owners = {"loader": loader, "sampler": loader.sampler, "batches": loader.batch_sampler}
        for part, owner in owners.items():
            generator = getattr(owner, "generator", None)
            known = any(generator is other for other in found.values())
            if isinstance(generator, torch.Generator) and not known:
                found[f"{name}.{part}"] = generator
    return found


def named_scores(prefix: str, scores: Scores) -> dict[str, float]:
    """Scores under their TensorBoard tags, for example ``test_acc1``."""
    return {f"{prefix}_{field}": value for field, value in scores._asdict().items()}


def _advance(scheduler: LRScheduler | None, row: dict[str, float]) -> None:
    if isinstance(scheduler, ReduceLROnPlateau):
        scheduler.step(row.get("test_loss", row["train_loss"]))
    elif scheduler is not None:
        scheduler.step()


def _claim_folders(
    log_dir: Path | None, checkpoint_dir: Path | None, *, resuming: bool, overwrite: bool
) -> None:
    """Create the folders; an earlier run in them is an error unless resumed or overwritten."""
    if distributed.rank() == 0:
        earlier: list[Path] = []
        if log_dir is not None:
            earlier += log_dir.glob("events.out.tfevents.*")
        if checkpoint_dir is not None:
            earlier += [checkpoint_dir / name for name in (LATEST, BEST, BEST_EMA)]
            earlier += checkpoint_dir.glob("checkpoint_[0-9]*.pth")
        earlier = [path for path in earlier if path.exists()]
        if earlier and not resuming:
            if not overwrite:
                raise RunExistsError(
                    f"{earlier[0].parent} holds an earlier run ({earlier[0].name}); pass "
                    "resume='latest' to go on or overwrite=True to replace it"
                )
            for path in earlier:
                path.unlink()
        for folder in (log_dir, checkpoint_dir):
            if folder is not None:
                files.prepare_folder(folder)
