"""What the Trainer costs beside the training step itself.

    python benchmarks/bench_trainer.py                 a line per network
    python benchmarks/bench_trainer.py --json FILE     and the numbers as JSON
    python benchmarks/bench_trainer.py --check         status 1 if a number misses what it must

One call trains 4 batches: `bare` is the loop written out (load, forward, cross entropy of the mean
output, backward, SGD, reset), `trainer` is `Trainer.train_one_epoch` with its accuracy, its checks
and its meters. Same network, data, loader and neurons; 1 thread. CPU time of the process. Where
SpikingJelly is installed, `spikingjelly` is the bare loop with its layers and neurons, and `gain`
its time over that of `channels_last`, the Trainer with --channels-last. The most that neurons alone
can give is the `ceiling` of bench_training.py.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import sj_layers
from bench_neuron import write
from machine import cpu, load, versions
from sj_neurons import functional, neuron, surrogate
from sj_train.train_classify import Trainer
from timing import interleaved
from training_nets import TASKS, Library, Task

BATCHES = 4
MOST = 1.02
LEAST = {"csnn": 1.9, "dvs_gesture_net": 1.35}


Run = Callable[[nn.Module, Any, DataLoader[Any]], object]


def contenders(task: Task) -> dict[str, Callable[[], object]]:
    """Four training steps by name; SpikingJelly's are missing if it cannot be imported."""
    ours = Library(sj_layers, neuron, surrogate)
    found = {
        "bare": _made(task, ours, functional, _bare(task, functional)),
        "trainer": _made(task, ours, functional, _trained(task)),
        "channels_last": _made(task, ours, functional, _trained(task, "--channels-last")),
    }
    try:
        peer = importlib.import_module("spikingjelly.activation_based")
        parts = [
            importlib.import_module(f"{peer.__name__}.{name}")
            for name in ("layer", "neuron", "surrogate", "functional")
        ]
    except ImportError:
        return found
    theirs = parts[3]
    return found | {"spikingjelly": _made(task, Library(*parts[:3]), theirs, _bare(task, theirs))}


def _made(task: Task, library: Library, functions: Any, run: Run) -> Callable[[], object]:
    torch.manual_seed(0)
    net = task.build(library)
    functions.set_step_mode(net, "m")
    if functions is functional:
        functional.set_backend(net, "auto")
    optimizer = torch.optim.SGD(net.parameters(), 1e-3)
    loader = _loader(task)
    return lambda: run(net, optimizer, loader)


def _bare(task: Task, functions: Any) -> Run:
    criterion = nn.CrossEntropyLoss()

    def run(net: nn.Module, optimizer: Any, loader: DataLoader[Any]) -> None:
        net.train()
        for x, target in loader:
            x_seq = x.expand(task.T, *x.shape) if task.is_image else x.transpose(0, 1)
            loss = criterion(net(x_seq).mean(0), target)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            functions.reset_net(net)

    return run


def _trained(task: Task, *words: str) -> Run:
    trainer = Trainer()
    args = trainer.get_args_parser().parse_args(["--device", "cpu", "--T", str(task.T), *words])
    criterion, device = nn.CrossEntropyLoss(), torch.device("cpu")

    def run(net: nn.Module, optimizer: Any, loader: DataLoader[Any]) -> None:
        if args.channels_last:
            cast("Any", net).to(memory_format=torch.channels_last)
        trainer.train_one_epoch(net, criterion, optimizer, loader, device, 0, args)

    return run


def _loader(task: Task) -> DataLoader[Any]:
    draw = torch.Generator().manual_seed(0)
    samples, *picture = task.shape
    frames = picture if task.is_image else [task.T, *picture]
    x = torch.rand(BATCHES * samples, *frames, generator=draw)
    target = torch.randint(task.classes, (len(x),), generator=draw)
    return DataLoader(TensorDataset(x, target), samples)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--json", metavar="FILE", help="where to write the numbers; - prints them")
    parser.add_argument("--check", action="store_true", help="fail if a number misses what it must")
    parser.add_argument("--seconds", type=float, default=30.0, help="per network")
    args = parser.parse_args(argv)
    torch.set_num_threads(1)
    rows = []
    for name in ("csnn", "dvs_gesture_net"):
        times = interleaved(contenders(TASKS[name]), args.seconds)
        ratio = times["trainer"].ms / times["bare"].ms
        row: dict[str, Any] = {"network": name, "batches": BATCHES, "ratio": round(ratio, 4)}
        line = f"{name}: bare {times['bare'].ms:.1f} ms, trainer x {ratio:.4f}"
        if "spikingjelly" in times:
            gain = times["spikingjelly"].ms / times["channels_last"].ms
            row |= {"gain": round(gain, 3), "must": LEAST[name]}
            line += f", {gain:.2f} times as fast as SpikingJelly (must be {LEAST[name]})"
        rows.append(row | {kind: timing.record() for kind, timing in times.items()})
        print(line)
    result = {
        "benchmark": "trainer",
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "cpu": cpu(),
        "load": load(),
        "versions": versions(("torch", "numpy")),
        "most": MOST,
        "rows": rows,
    }
    if args.json:
        text = json.dumps(result, indent=1) + "\n"
        if args.json == "-":
            print(text, end="")
        else:
            write(text, Path(args.json))
    slow = [row for row in rows if row["ratio"] > MOST or row.get("gain", 99) < row.get("must", 0)]
    return int(args.check and bool(slow))


if __name__ == "__main__":
    sys.exit(main())
