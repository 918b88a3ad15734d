"""What `--resume` costs: fresh processes until their first training step is done.

Without arguments of its own it is imported; with a JSON object as its only argument it is one of
the fresh processes. A spiking ResNet-18 learns as many pictures as ImageNet has; the pictures are
made from nothing, and those that are asked for are counted.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from multiprocessing import Value
from pathlib import Path
from typing import Any

__all__ = ["measure", "targets"]

BATCH = 32
SAMPLES = 40_000 * BATCH  # about ImageNet
MOST, MOST_AIM = 1.0, 0.5  # seconds
MOST_GROWTH = 0.1  # seconds per 1,000 batches


def measure(times: int, samples: int, step: int) -> dict[str, Any]:
    """Seconds to the first training step by what is resumed; the least of `times` starts.

    `seconds` are CPU time of the process, which other programs do not lengthen, `clock` is what a
    clock on the wall shows.

    Args:
        samples: size of the training set.
        step: number of the batch in the middle of an epoch.
    """
    with tempfile.TemporaryDirectory() as folder:
        start = {"folder": folder, "samples": samples}
        _fresh(start | {"write": True})
        positions = _checkpoints(Path(folder), step)
        ways = {
            "new run": {},
            "epoch": {"resume": positions[0]},
            "first batch": {"resume": positions[1]},
            "late batch": {"resume": positions[2]},
            "late batch, 2 workers": {"resume": positions[2], "workers": 2},
            "new run, 2 workers": {"workers": 2},
        }
        taken: dict[str, list[dict[str, float]]] = {name: [] for name in ways}
        for _ in range(times):
            for name, way in ways.items():
                taken[name].append(_fresh(start | way))
        size = os.path.getsize(positions[2])
        rows = {
            name: {key: min(row[key] for row in found) for key in found[0]}
            for name, found in taken.items()
        }
    return {"batch": BATCH, "samples": samples, "step": step, "bytes": size, "rows": rows}


def targets(found: dict[str, Any]) -> list[dict[str, Any]]:
    """Limits of :func:`measure`."""
    from report import target

    rows, step = found["rows"], found["step"]
    where = f"ResNet-18, {found['bytes'] / 1e6:.0f} MB"
    cost = rows["epoch"]["seconds"] - rows["new run"]["seconds"]
    late = rows["late batch"]["seconds"] - rows["first batch"]["seconds"]
    made = [
        target("must", "resume", f"{where}, s", cost, most=MOST),
        target("aim", "resume", f"{where}, s", cost, most=MOST_AIM),
        target("must", "read checkpoint", f"{where}, s", rows["epoch"]["read"], most=MOST),
    ]
    growth = 1000 * late / step
    made.append(target("must", "resume, later by 1,000 batches", "s", growth, most=MOST_GROWTH))
    for name, base in (("late batch", "new run"), ("late batch, 2 workers", "new run, 2 workers")):
        more = rows[name]["samples_read"] - rows[base]["samples_read"]
        where = f"{step:,} batches of {BATCH}, -j {2 if 'workers' in name else 0}"
        made.append(target("must", "skipped samples read", where, more, most=0))
    return made


def _fresh(options: dict[str, Any]) -> dict[str, float]:
    words = [sys.executable, __file__, json.dumps(options | {"started": time.time()})]
    done = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def _checkpoints(folder: Path, step: int) -> list[str]:
    """Files that stand after an epoch, after its first batch, and after batch `step`."""
    import torch

    (written,) = folder.glob("written/pt/*/checkpoint_latest.pth")
    content = torch.load(written, weights_only=True)
    position = content["position"]
    found = []
    for name, at in (("epoch", None), ("first", position["step"]), ("late", step)):
        if at is None:
            content.pop("position")
        else:
            content["position"] = position | {"step": at, "samples": at * BATCH}
        path = folder / f"{name}.pth"
        torch.save(content, path)
        found.append(str(path))
    return found


class _Done(Exception):
    """The first step is over."""


def _run(options: dict[str, Any]) -> dict[str, float]:
    import torch
    from torch import nn
    from torch.utils.data import Dataset, RandomSampler, SequentialSampler

    import sj_layers
    from sj_neurons import functional, neuron, surrogate
    from sj_train.checkpoint import load_checkpoint
    from sj_train.train_classify import Trainer
    from training_nets import Library, spiking_resnet18

    torch.set_num_threads(1)
    counter: Any = Value("q", 0)
    imported = time.process_time()
    writes = bool(options.get("write"))
    finished: list[tuple[float, float]] = []

    class Pictures(Dataset[Any]):
        classes = tuple(range(10))

        def __init__(self, count: int) -> None:
            self.count = count

        def __len__(self) -> int:
            return self.count

        def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
            with counter.get_lock():
                counter.value += 1
            return torch.full((3, 32, 32), index % 7 / 7), index % 10

    class Stopping(Trainer):
        def load_model(self, args: argparse.Namespace, num_classes: int) -> nn.Module:
            net = spiking_resnet18(Library(sj_layers, neuron, surrogate))
            functional.set_step_mode(net, "m")
            return net

        def load_data(self, args: argparse.Namespace) -> Any:
            train, test = Pictures(options["samples"]), Pictures(BATCH)
            order = torch.Generator().manual_seed(args.seed)
            return train, test, RandomSampler(train, generator=order), SequentialSampler(test)

        def set_optimizer(self, args: argparse.Namespace, parameters: Any) -> Any:
            optimizer = super().set_optimizer(args, parameters)
            optimizer.register_step_post_hook(stop)
            return optimizer

    def stop(*_: Any) -> None:
        finished.append((time.process_time(), time.time()))
        if len(finished) > writes:  # the checkpoint comes with the second step
            raise _Done

    trainer = Stopping()
    words = ["--device", "cpu", "--T", "1", "-b", str(BATCH), "--mixup-alpha", "0"]
    words += ["--cutmix-alpha", "0", "-j", str(options.get("workers", 0)), "--lr", "0.01"]
    words += ["--output-dir", options["folder"] + ("/written" if writes else f"/{os.getpid()}")]
    words += ["--checkpoint-every-steps", "1" if writes else "100000"]
    words += ["--resume", options["resume"]] if "resume" in options else []
    with contextlib.suppress(_Done):
        trainer.run(trainer.get_args_parser().parse_args(words))
    row = {"seconds": finished[0][0], "clock": finished[0][1] - options["started"]}
    row |= {"import": imported, "samples_read": counter.value}
    if "resume" in options:
        started = time.process_time()
        load_checkpoint(options["resume"])
        row["read"] = time.process_time() - started
    return row


if __name__ == "__main__":
    print(json.dumps(_run(json.loads(sys.argv[1]))))
