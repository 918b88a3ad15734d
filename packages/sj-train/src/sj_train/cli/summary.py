"""What logs and checkpoints hold, in a few lines."""

from __future__ import annotations

import argparse
import contextlib
import json
import math
from pathlib import Path
from typing import Any

import torch

from ..checkpoint import load_checkpoint
from ..errors import CheckpointError
from ..read_log import read_log
from ..recipes.script_run import read_script_checkpoint

__all__ = ["add_arguments", "describe", "execute"]

_SHOWN = (
    "train_loss", "train_acc", "train_acc1", "test_loss", "test_acc", "test_acc1", "test_acc5",
    "ema_test_acc1", "test_psnr", "test_ssim",
)  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("paths", metavar="PATH", nargs="+", help="log folders or checkpoints")
    parser.add_argument("--json", action="store_true", help="one JSON object per path")


def execute(args: argparse.Namespace, words: list[str]) -> None:
    # All are read before anything is printed: a bad path gives an error and nothing else.
    found = [{"path": path} | describe(path) for path in args.paths]
    for entry in found:
        if args.json:
            print(json.dumps(entry))
            continue
        print(entry.pop("path"))
        for name, value in entry.items():
            print(f"  {name}: {value:.4f}" if isinstance(value, float) else f"  {name}: {value}")


def describe(path: str) -> dict[str, Any]:
    """The main numbers of a log folder, a log file or a checkpoint.

    Raises:
        DataError, DataNotFoundError, CheckpointError: it is none of them.
    """
    if Path(path).suffix in (".pth", ".pt"):
        return _describe_checkpoint(path)
    curves = read_log(path)
    steps = {step for curve in curves.values() for step, _ in curve}
    entry: dict[str, Any] = {"epochs": len(steps), "last epoch": max(steps)}
    for tag in _SHOWN:
        if tag not in curves:
            continue
        entry[tag] = _plain(curves[tag][-1][1])
        finite = [(value, step) for step, value in curves[tag] if math.isfinite(value)]
        if finite:
            value, step = min(finite) if tag.endswith("loss") else max(finite)
            entry[f"best {tag}"] = value
            entry[f"best {tag} epoch"] = step
    return entry


def _plain(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _describe_checkpoint(path: str) -> dict[str, Any]:
    content, weights = _read(path)
    tensors = [v for v in content[weights].values() if isinstance(v, torch.Tensor)]
    best = {k: v for k, v in content.items() if k.startswith("max_") and isinstance(v, int | float)}
    entry: dict[str, Any] = {
        "epoch": content.get("epoch"),
        **best,
        "tensors": len(tensors),
        "numbers": sum(tensor.numel() for tensor in tensors),
        "keys": ", ".join(sorted(content)),
    }
    args = content.get("args") or {}
    if isinstance(args, argparse.Namespace):
        args = vars(args)
    for name in ("model", "opt", "lr", "epochs", "T"):
        if args.get(name) is not None:
            entry[name] = args[name]
    return entry


def _read(path: str) -> tuple[dict[str, Any], str]:
    """A checkpoint of a Trainer or of a script, and the key of its weights."""
    try:
        return load_checkpoint(path), "model"
    except CheckpointError:
        with contextlib.suppress(CheckpointError):
            return read_script_checkpoint(Path(path)), "net"
        raise
