"""What the Trainer costs beside the training step itself.

    python benchmarks/bench_trainer.py                 a line per network
    python benchmarks/bench_trainer.py --json FILE     and the numbers as JSON
    python benchmarks/bench_trainer.py --check         status 1 if it costs more than 2 %

One call trains 4 batches: `bare` is the loop written out (load, forward, cross entropy of the mean
output, backward, SGD, reset), `trainer` is `Trainer.train_one_epoch` with its accuracy, its checks
and its meters. Same network, data, loader and neurons; 1 thread. CPU time of the process.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

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


class _Bench(Trainer):
    """Event frames [N, T, C, H, W] are transposed by --T, images repeated by it."""


def contenders(task: Task) -> dict[str, Callable[[], object]]:
    criterion = nn.CrossEntropyLoss()
    args = _Bench().get_args_parser().parse_args(["--device", "cpu", "--T", str(task.T)])

    def made(run: Callable[..., object]) -> Callable[[], object]:
        torch.manual_seed(0)
        net = task.build(Library(sj_layers, neuron, surrogate))
        functional.set_step_mode(net, "m")
        functional.set_backend(net, "auto")
        loader = _loader(task)
        optimizer = torch.optim.SGD(net.parameters(), 1e-3)
        return lambda: run(net, criterion, optimizer, loader)

    def bare(net: nn.Module, criterion: Any, optimizer: Any, loader: Any) -> None:
        net.train()
        for x, target in loader:
            x_seq = x.expand(task.T, *x.shape) if task.is_image else x.transpose(0, 1)
            loss = criterion(net(x_seq).mean(0), target)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            functional.reset_net(net)

    def trainer(net: nn.Module, criterion: Any, optimizer: Any, loader: Any) -> None:
        device = torch.device("cpu")
        _Bench().train_one_epoch(net, criterion, optimizer, loader, device, 0, args)

    return {"bare": made(bare), "trainer": made(trainer)}


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
    parser.add_argument("--check", action="store_true", help="fail above 2 %%")
    parser.add_argument("--seconds", type=float, default=30.0, help="per network")
    args = parser.parse_args(argv)
    torch.set_num_threads(1)
    rows = []
    for name in ("csnn", "dvs_gesture_net"):
        times = interleaved(contenders(TASKS[name]), args.seconds)
        ratio = times["trainer"].ms / times["bare"].ms
        rows.append(
            {"network": name, "batches": BATCHES, "ratio": round(ratio, 4)}
            | {kind: timing.record() for kind, timing in times.items()}
        )
        print(f"{name}: bare {times['bare'].ms:.1f} ms, trainer x {ratio:.4f}")
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
    return int(args.check and any(row["ratio"] > MOST for row in rows))


if __name__ == "__main__":
    sys.exit(main())
