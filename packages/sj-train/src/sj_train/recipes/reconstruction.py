"""Epochs of a reconstruction network: its own losses, PSNR and SSIM, pictures of test samples."""

from __future__ import annotations

import argparse
import logging
import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from sj_neurons import functional

from .. import files
from ..errors import NonFiniteLossError
from ..extras import require
from ..progress import progress_bar
from ..scalars import ScalarLog
from .picture_sheet import save_colour_sheet
from .script_run import ScriptRun, claim_run_folder

__all__ = ["Reconstruction", "train_reconstruction"]

_log = logging.getLogger(__name__)


@dataclass
class Reconstruction:
    """A model with its data.

    Attributes:
        model: an ``sz_models.BaseModel`` whose network is built.
        train, test: loaders of dicts ``spike [B, T, H, W]``, ``gt_img [B, 1, H, W]``, ``rate [B]``.
        loss_weights: weight of each loss by name.
        visuals: test samples that are drawn after each epoch.
    """

    model: Any
    train: DataLoader[Any]
    test: DataLoader[Any]
    loss_weights: Mapping[str, float]
    visuals: int = 4


def train_reconstruction(
    args: argparse.Namespace, run: ScriptRun, task: Reconstruction, folder: Path
) -> None:
    """Train from the epoch after ``run.epoch`` to ``args.epochs``, all files below ``folder``."""
    claim_run_folder(folder, args, resuming=bool(args.resume), dashes="--")
    files.prepare_folder(folder / "visuals")
    _log.info("Output: %s", folder)
    with ScalarLog(folder, first_epoch=run.epoch + 1) as scalars:
        for epoch in range(run.epoch + 1, args.epochs):
            row = train_one_epoch(task, run.optimizer, epoch)
            scores, pictures = evaluate(task)
            row |= scores
            run.lr_scheduler.step()
            run.epoch = epoch
            improved = row["test_psnr"] > run.best
            run.best = max(run.best, row["test_psnr"])
            scalars.write(epoch, row)
            if pictures:
                save_colour_sheet(folder / "visuals" / f"epoch_{epoch}.png", pictures)
            run.save(folder, improved=improved)
            numbers = ", ".join(f"{name} = {value:.4f}" for name, value in row.items())
            _log.info("epoch %d of %d: %s", epoch, args.epochs, numbers)


def train_one_epoch(
    task: Reconstruction, optimizer: torch.optim.Optimizer, epoch: int
) -> dict[str, float]:
    """Mean losses of one pass over the training streams.

    Raises:
        NonFiniteLossError: the loss is NaN or infinite; the step is not applied.
    """
    model, network = task.model, task.model.network()
    network.train()
    sums: dict[str, float] = defaultdict(float)
    count = 0
    for step, loaded in enumerate(progress_bar(task.train, f"epoch {epoch} train", True)):
        batch = _on_device(model, loaded)
        losses, numbers = model.get_loss_dict(
            model.get_outputs_dict(batch), batch, task.loss_weights
        )
        total = torch.stack([loss.mean() for loss in losses.values()]).sum()
        if not math.isfinite(total.item()):
            raise NonFiniteLossError(
                f"the loss is {total.item()} at epoch {epoch}, batch {step} ({numbers}); the step "
                "was not applied. Lower --lr or check the streams"
            )
        optimizer.zero_grad(set_to_none=True)
        total.backward()
        optimizer.step()
        functional.reset_net(network)
        samples = len(batch["spike"])
        for name, value in {"loss": total.item(), **numbers}.items():
            sums[f"train_{name}"] += value * samples
        count += samples
    return {name: value / count for name, value in sums.items()}


@torch.inference_mode()
def evaluate(task: Reconstruction) -> tuple[dict[str, float], list[list[Tensor]]]:
    """Mean PSNR and SSIM over the test streams, and the pictures of the first of them."""
    zoo = require("sz_models", "reconstruction")
    model, network = task.model, task.model.network()
    network.eval()
    sums, count = {"test_psnr": 0.0, "test_ssim": 0.0}, 0
    pictures: list[list[Tensor]] = []
    for loaded in task.test:
        batch = _on_device(model, loaded)
        outputs = model.get_outputs_dict(batch)
        made, truth = model.get_paired_imgs(batch, outputs)
        samples = len(batch["spike"])
        for name in ("psnr", "ssim"):
            sums[f"test_{name}"] += zoo.compute_metric(name, made, truth) * samples
        count += samples
        if len(pictures) < task.visuals:
            columns = [image.cpu() for image in model.get_visual_dict(batch, outputs).values()]
            rows = [list(row) for row in zip(*columns, strict=True)]
            pictures += rows[: task.visuals - len(pictures)]
        functional.reset_net(network)
    return {name: value / count for name, value in sums.items()}, pictures


def _on_device(model: Any, loaded: Mapping[str, Any]) -> dict[str, Any]:
    return model.feed_to_device({**loaded, "rate": torch.as_tensor(loaded["rate"]).float()})
