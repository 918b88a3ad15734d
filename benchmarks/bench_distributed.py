"""How much of two cores two processes use: training steps through the Trainer, DDP over gloo.

    python benchmarks/bench_distributed.py                 a table
    python benchmarks/bench_distributed.py --json FILE     and the numbers as JSON
    python benchmarks/bench_distributed.py --check         status 1 if a number misses what it must

Processes of one thread each. `one` trains batches of b samples in one of them, `apart` as many in
each of two without a word between them, `two` does so with averaged gradients; who has no turn
sleeps. Efficiency is the throughput of `two` over twice that of `one`, by the clock, within the
same round; that of `apart` is what memory and caches that are shared leave of it. Networks, batches
and neurons are those of bench_training.py.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from bench_neuron import write
from machine import ALLOCATORS, allocator, cpu, load, restart_with, versions
from report import target, target_table, text_table

BATCHES = {"csnn": 4, "dvs_gesture_net": 2}
FEWEST, SETTLING = 7, 2  # rounds; those that do not count
MUST = 0.8
CLOCKS = ("seconds", "cpu_seconds")


class Pair:
    """Two processes that train some batches whenever they are told to."""

    def __init__(self, network: str, way: str, quick: bool, stack: ExitStack) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        words = ["--worker", network, way, str(port), *(["--quick"] if quick else [])]
        self.workers = [
            stack.enter_context(
                subprocess.Popen(
                    [sys.executable, __file__, *words, "--rank", str(rank)],
                    stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                    env={**os.environ, "LOCAL_WORLD_SIZE": "2"},  # as torchrun says it
                )
            )
            for rank in (0, 1)
        ]  # fmt: skip
        for worker in self.workers:
            stack.callback(worker.kill)
            _answer(worker)

    def train(self, count: int = 2) -> dict[str, float]:
        """Seconds until the last of the first ``count`` is done, and CPU seconds of each."""
        for worker in self.workers[:count]:
            print("train", file=worker.stdin, flush=True)
        answers = [_answer(worker) for worker in self.workers[:count]]
        seconds, cpu_seconds = zip(*answers, strict=True)
        return {"seconds": max(seconds), "cpu_seconds": statistics.mean(cpu_seconds)}


def _answer(worker: subprocess.Popen[str]) -> list[float]:
    assert worker.stdout is not None
    line = worker.stdout.readline()
    if not line:
        raise RuntimeError("a worker ended")
    return [float(word) for word in line.split()]


def work(network: str, way: str, port: str, rank: int, quick: bool) -> None:
    """A worker: trains a few batches for each line of its input."""
    import torch
    import torch.distributed as dist
    from torch import nn

    import sj_layers
    from sj_neurons import functional, neuron, surrogate
    from sj_train.replicas import replicated
    from sj_train.train_classify import Trainer
    from training_nets import Library

    torch.set_num_threads(1)
    task, device = task_of(network, quick), torch.device("cpu")
    torch.manual_seed(0)
    net = task.build(Library(sj_layers, neuron, surrogate))
    functional.set_step_mode(net, "m")
    functional.set_backend(net, "auto")
    model = net
    if way == "two":
        url = f"tcp://127.0.0.1:{port}"
        dist.init_process_group("gloo", init_method=url, rank=rank, world_size=2)
        model = replicated(net, device)
    trainer = Trainer()
    args = trainer.get_args_parser().parse_args(["--device", "cpu", "--T", str(task.T)])
    optimizer, criterion = torch.optim.SGD(net.parameters(), 1e-3), nn.CrossEntropyLoss()
    loader = loader_of(task, BATCHES[network])
    print(flush=True)  # ready
    for _ in sys.stdin:
        start, cpu_start = time.perf_counter(), time.process_time()
        trainer.train_one_epoch(model, criterion, optimizer, loader, device, 0, args)
        print(time.perf_counter() - start, time.process_time() - cpu_start, flush=True)


def task_of(network: str, quick: bool) -> Any:
    from training_nets import TASKS, csnn

    if quick:
        small = partial(csnn, channels=2)
        return TASKS["csnn"]._replace(build=small, T=1, shape=(2, 1, 28, 28))
    return TASKS[network]


def loader_of(task: Any, batches: int) -> Any:
    import torch
    from torch.utils.data import DataLoader, TensorDataset

    draw = torch.Generator().manual_seed(0)
    samples, *picture = task.shape
    frames = picture if task.is_image else [task.T, *picture]
    x = torch.rand(batches * samples, *frames, generator=draw)
    classes = torch.randint(task.classes, (len(x),), generator=draw)
    return DataLoader(TensorDataset(x, classes), samples)


def measure(network: str, seconds: float, quick: bool) -> dict[str, Any]:
    """Times of the three ways in turn, and the ratios within each round."""
    with ExitStack() as stack:
        apart, two = (Pair(network, way, quick, stack) for way in ("apart", "two"))
        ways = {"one": partial(apart.train, 1), "apart": apart.train, "two": two.train}
        shuffled = random.Random(0).sample
        rounds: list[dict[str, dict[str, float]]] = []
        end = time.monotonic() + seconds
        while len(rounds) < FEWEST + SETTLING or time.monotonic() < end:
            rounds.append({way: ways[way]() for way in shuffled(list(ways), len(ways))})
    counted = rounds[SETTLING:]
    row: dict[str, Any] = {"network": network, "batches": BATCHES[network], "rounds": len(counted)}
    task = task_of(network, quick)
    row |= {"T": task.T, "shape": list(task.shape)}
    for way in ways:
        row[way] = {
            clock: round(statistics.median(entry[way][clock] for entry in counted), 5)
            for clock in CLOCKS
        }
    for way in ("apart", "two"):
        shares = [entry["one"]["seconds"] / entry[way]["seconds"] for entry in counted]
        row[f"{way}_efficiency"] = round(statistics.median(shares), 3)
    return row


def table(result: dict[str, Any]) -> str:
    parts = [f"1 thread each, allocator {result['settings']['allocator']!r}"]
    for row in result["rows"]:
        cells = [
            (way, *(f"{row[way][clock] * 1e3:.1f}" for clock in CLOCKS), share)
            for way, share in (
                ("one", "1"), ("apart", f"{row['apart_efficiency']:.3f}"),
                ("two", f"{row['two_efficiency']:.3f}"),
            )
        ]  # fmt: skip
        title = f"{row['network']}, {row['batches']} batches of {row['shape']}, T={row['T']}"
        parts.append(text_table(title, ("way", "ms", "CPU ms", "efficiency"), cells))
    return "\n\n".join([*parts, target_table(result["trainer_targets"])])


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    made.add_argument("--json", metavar="FILE", help="where to write the numbers; - prints them")
    made.add_argument("--check", action="store_true", help="fail if a number misses what it must")
    made.add_argument("--quick", action="store_true", help="tiny sizes: does it run at all?")
    made.add_argument("--seconds", type=float, default=40.0, help="per network")
    made.add_argument("--worker", nargs=3, help=argparse.SUPPRESS)
    made.add_argument("--rank", type=int, help=argparse.SUPPRESS)
    return made


def main(argv: Sequence[str] | None = None) -> int:
    options = parser().parse_args(argv)
    if options.worker:
        network, way, port = options.worker
        work(network, way, port, options.rank, options.quick)
        return 0
    restart_with("kept")
    names = ["csnn"] if options.quick else list(BATCHES)
    seconds = 0.0 if options.quick else options.seconds
    at_start = load()
    result: dict[str, Any] = {
        "benchmark": "distributed",
        "schema": 1,
        "date": datetime.now(UTC).date().isoformat(),
        "cpu": cpu(),
        "versions": versions(("torch", "numpy")),
        "settings": {
            "threads": 1,
            "allocator": allocator(),
            "allocators": ALLOCATORS,
            "load": at_start,
        },
        "rows": [measure(name, seconds, options.quick) for name in names],
    }
    what = "throughput per core of two processes"
    result["trainer_targets"] = [
        target("must", what, row["network"], row["two_efficiency"], least=MUST)
        for row in result["rows"]
    ]
    print(table(result), file=sys.stderr if options.json == "-" else sys.stdout)
    if options.json:
        text = json.dumps(result, indent=1) + "\n"
        if options.json == "-":
            print(text, end="")
        else:
            write(text, Path(options.json))
    return int(options.check and not all(row["met"] for row in result["trainer_targets"]))


if __name__ == "__main__":
    sys.exit(main())
