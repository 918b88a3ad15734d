"""The files of a run in the layout of the notes' scripts.

    <out>/args.txt, events.out.tfevents.*          options, TensorBoard scalars
    <out>/checkpoint_latest.pth, checkpoint_max.pth

Checkpoint keys: ``net optimizer lr_scheduler epoch`` and the best score (``max_test_acc``), and
``scaler rng loader_generators``, with which a resumed run repeats an uninterrupted one.
"""

from __future__ import annotations

import argparse
import pickle
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from .. import files
from ..errors import CheckpointError, RunExistsError
from ..resume import check_fits
from ..seeding import rng_state, set_rng_state

__all__ = ["LATEST", "MAX", "ScriptRun", "claim_run_folder", "read_script_checkpoint"]

LATEST, MAX = "checkpoint_latest.pth", "checkpoint_max.pth"


@dataclass
class ScriptRun:
    """What a script trains, and its progress.

    Attributes:
        best_key: name of the best score in the checkpoint.
        best: best score so far; larger is better.
        epoch: last finished epoch, -1 before the first.
        generators: random generators of the loaders, by name.
    """

    net: nn.Module
    optimizer: Optimizer
    lr_scheduler: LRScheduler
    scaler: torch.amp.GradScaler | None = None
    generators: dict[str, torch.Generator] = field(default_factory=dict)
    best_key: str = "max_test_acc"
    best: float = -1.0
    epoch: int = -1

    def save(self, folder: Path, *, improved: bool) -> None:
        """Write the latest and, if ``improved``, the best checkpoint; each whole or not at all."""
        content = {
            "net": self.net.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "lr_scheduler": self.lr_scheduler.state_dict(),
            "epoch": self.epoch,
            self.best_key: self.best,
            "scaler": None if self.scaler is None else self.scaler.state_dict(),
            "rng": rng_state(),
            "loader_generators": {name: g.get_state() for name, g in self.generators.items()},
        }
        # The latest file comes last: killed before it, the run repeats the epoch.
        for name in ([MAX] if improved else []) + [LATEST]:
            files.write_atomic(folder / name, lambda file: torch.save(content, file))

    def resume(self, path: Path) -> None:
        """Go on where the run of ``path`` stood.

        Raises:
            CheckpointError: unreadable, or of another net or optimizer.
        """
        content = read_script_checkpoint(path)
        check_fits(self.net, content["net"], path)
        try:
            self.optimizer.load_state_dict(content["optimizer"])
            self.lr_scheduler.load_state_dict(content["lr_scheduler"])
            self.epoch = int(content["epoch"])
            self.best = float(content[self.best_key])
        except (KeyError, ValueError, TypeError, AttributeError) as error:
            raise CheckpointError(
                f"checkpoint {path} does not fit this run ({error}); resume with the options it "
                "was started with"
            ) from error
        self.net.load_state_dict(content["net"])
        if self.scaler is not None and content.get("scaler"):
            self.scaler.load_state_dict(content["scaler"])
        for name, state in content.get("loader_generators", {}).items():
            if name in self.generators:
                self.generators[name].set_state(state)
        if "rng" in content:
            set_rng_state(content["rng"])


def read_script_checkpoint(path: Path) -> dict[str, Any]:
    """A checkpoint of a script, read without running code from it.

    Raises:
        CheckpointError: missing, damaged, or not of a script.
    """
    if not path.is_file():
        raise CheckpointError(f"checkpoint {path} does not exist")
    try:
        with torch.serialization.safe_globals([argparse.Namespace]):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, OSError, RuntimeError, EOFError, ValueError, KeyError) as error:
        raise CheckpointError(
            f"checkpoint {path} is damaged, no torch file, or holds objects that are not loaded "
            "for safety"
        ) from error
    if not isinstance(content, dict) or not isinstance(content.get("net"), Mapping):
        raise CheckpointError(f"{path} is no checkpoint of this script: it has no state dict 'net'")
    return content


def claim_run_folder(
    folder: Path, args: argparse.Namespace, *, resuming: bool, dashes: str = "-"
) -> None:
    """Create ``folder`` and write ``args.txt``.

    Args:
        args: with ``clean``, whether an earlier run is replaced.
        dashes: how the options are written.

    Raises:
        RunExistsError: it holds an earlier run, and this one does not resume.
        OutputError: it cannot be written.
    """
    earlier = [p for name in (LATEST, MAX) if (p := folder / name).exists()]
    if earlier and not resuming:
        if not args.clean:
            raise RunExistsError(
                f"{folder} holds an earlier run; use {dashes}resume {folder / LATEST} to go on "
                f"with it or {dashes}clean to replace it"
            )
        written = ("events.out.tfevents.*", "scalars.*", "visuals/epoch_*.png")
        for path in [*earlier, *(p for pattern in written for p in folder.glob(pattern))]:
            path.unlink()
    files.prepare_folder(folder)
    text = f"{args}\n{' '.join(sys.argv)}\n"
    files.write_atomic(
        folder / "args.txt", lambda file: file.write(text.encode(errors="backslashreplace"))
    )
