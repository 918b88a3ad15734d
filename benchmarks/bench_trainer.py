"""What the Trainer costs, and what it takes to go on after a kill.

    python benchmarks/bench_trainer.py                 tables
    python benchmarks/bench_trainer.py --json FILE     and the numbers as JSON
    python benchmarks/bench_trainer.py --check         status 1 if a number misses what it must
    python benchmarks/bench_trainer.py --parts resume  only this

`steps` trains 4 batches; CPU time of the process, 1 thread, float32. `bare` is the loop written out
(load, forward, cross entropy of the mean output, backward, SGD, reset), `trainer` is
`Trainer.train_one_epoch` with its accuracy, its checks and its meters; same network, data, loader
and neurons. Where SpikingJelly is installed, `spikingjelly` is the bare loop with its layers and
neurons, and the gain its time over that of `channels_last`, the Trainer with --channels-last. The
ceiling is what its step would gain if its neurons cost nothing.

`resume` starts fresh processes and waits for their first training step: see trainer_resume.py.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from bench_neuron import write
from machine import ALLOCATORS, allocator, cpu, load, restart_with, versions
from report import target_table, text_table

DISTRIBUTIONS = ("torch", "numpy", "tensorboard", "spikingjelly")
PARTS = ("steps", "resume")


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    made.add_argument("--json", metavar="FILE", help="where to write all numbers; - prints them")
    made.add_argument("--check", action="store_true", help="fail if a number misses what it must")
    made.add_argument("--quick", action="store_true", help="tiny sizes: does it run at all?")
    made.add_argument("--seconds", type=float, default=40.0, help="per network")
    made.add_argument("--starts", type=int, default=3, help="fresh processes for each way")
    made.add_argument("--parts", choices=PARTS, nargs="+", default=PARTS, help="what to measure")
    made.add_argument(
        "--allocator", choices=("kept", "hugepages", "default", "as-is"), default="kept",
        help="setting of the C library; as-is leaves the environment alone",
    )  # fmt: skip
    return made


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """All numbers."""
    at_start = load()
    import torch

    import sj_train
    import trainer_resume
    import trainer_steps

    torch.set_num_threads(1)
    result: dict[str, Any] = {
        "benchmark": "trainer",
        "schema": 1,
        "date": datetime.now(UTC).date().isoformat(),
        "cpu": cpu(),
        "versions": {"sj-train": sj_train.__version__, **versions(DISTRIBUTIONS)},
        "settings": {
            "threads": 1,
            "dtype": "float32",
            "allocator": allocator(),
            "allocators": ALLOCATORS,
            "load": at_start,
        },
    }
    targets = []
    if "steps" in options.parts:
        seconds = 0.0 if options.quick else options.seconds
        rows = [trainer_steps.measure(*task, seconds) for task in tasks(options.quick)]
        result["trainer"] = rows
        targets += [limit for row in rows for limit in trainer_steps.targets(row)]
    if "resume" in options.parts:
        sizes = (1, 1280, 10) if options.quick else (options.starts, trainer_resume.SAMPLES, 30_000)
        result["resume"] = trainer_resume.measure(*sizes)
        targets += trainer_resume.targets(result["resume"])
    return result | {"trainer_targets": targets}


def tasks(quick: bool) -> list[tuple[str, Any]]:
    """Networks by name, small ones to see that everything runs."""
    from training_nets import TASKS, csnn

    if quick:
        small = TASKS["csnn"]._replace(build=partial(csnn, channels=2), T=1, shape=(2, 1, 28, 28))
        return [("csnn", small)]
    return [(name, TASKS[name]) for name in ("csnn", "dvs_gesture_net")]


def table(result: dict[str, Any]) -> str:
    """The numbers for reading."""
    about = f"1 thread, float32, allocator {result['settings']['allocator']!r}"
    parts = [f"{about}, load {result['settings']['load']} at start"]
    for row in result.get("trainer", ()):
        cells = [(name, f"{time['ms']:.1f}") for name, time in row["ms"].items()]
        title = f"{row['network']}, {row['batches']} batches, T={row['T']}, {row['shape']}"
        if "ceiling" in row:
            title += f", ceiling of neurons alone {row['ceiling']:.2f}"
        parts.append(text_table(title, ("pass", "ms"), cells))
    if found := result.get("resume"):
        cells = [
            (name, f"{row['seconds']:.2f}", f"{row['samples_read']:.0f}")
            for name, row in found["rows"].items()
        ]
        title = f"First training step of {found['samples']:,} samples in batches of 32"
        parts.append(text_table(title, ("start", "seconds", "samples read"), cells))
    return "\n\n".join([*parts, target_table(result["trainer_targets"])])


def main(argv: Sequence[str] | None = None) -> int:
    options = parser().parse_args(argv)
    if options.allocator != "as-is":
        restart_with(options.allocator)
    result = measure(options)
    print(table(result), file=sys.stderr if options.json == "-" else sys.stdout)
    if options.json:
        text = json.dumps(result, indent=1) + "\n"
        if options.json == "-":
            print(text, end="")
        else:
            write(text, Path(options.json))
    missed = [
        f"{row['name']} ({row['where']})"
        for row in result["trainer_targets"]
        if row["kind"] == "must" and not row["met"]
    ]
    if options.check and missed:
        print(f"missed: {', '.join(missed)}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
