"""Memory and time of a training step over many time steps, plain and with recomputation.

    python benchmarks/bench_long_sequences.py                 tables
    python benchmarks/bench_long_sequences.py --json FILE     and the numbers as JSON
    python benchmarks/bench_long_sequences.py --check         status 1 if a number misses its target

Each way is an option of the Trainer. Memory: the most that torch has allocated at one time within
a step (forward, backward) above what lived before, as its profiler counts it. Time: CPU time of the
step on 1 thread, the ways in turn; its ratio to `plain` is taken within each round.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench_neuron import write
from machine import ALLOCATORS, allocator, cpu, load, restart_with, versions
from report import target, target_table, text_table

MOST = 0.35  # peak with --time-chunk 8 over that of the plain net, no BatchNorm
MOST_TIME = 1.6  # a second forward pass makes 1.3, small chunks cost some more
WAYS = {
    "conv": ("", "--time-chunk 4", "--time-chunk 8", "--time-chunk 16", "--tbptt 8"),
    "spiking_resnet18": ("", "--checkpoint-blocks"),
}


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    made.add_argument("--T", type=int, default=64, help="time steps (default: 64)")
    made.add_argument("--json", metavar="FILE", help="where to write all numbers; - prints them")
    made.add_argument("--check", action="store_true", help="fail if a number misses what it must")
    made.add_argument("--quick", action="store_true", help="one round: does it run at all?")
    made.add_argument("--seconds", type=float, default=30.0, help="per network")
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

    torch.set_num_threads(1)
    quick = options.quick
    nets = {"conv": _conv, "spiking_resnet18": _resnet}
    rows = [
        row
        for name, make in nets.items()
        for row in _rows(name, make, options.T, 0.0 if quick else options.seconds, quick)
    ]
    return {
        "benchmark": "sequences",
        "schema": 1,
        "date": datetime.now(UTC).date().isoformat(),
        "cpu": cpu(),
        "versions": {"sj-train": sj_train.__version__, **versions(("torch", "numpy"))},
        "settings": {
            "threads": 1,
            "dtype": "float32",
            "allocator": allocator(),
            "allocators": ALLOCATORS,
            "load": at_start,
        },
        "sequences": rows,
        "trainer_targets": [limit for row in rows for limit in _targets(row)],
    }


def _targets(row: dict[str, Any]) -> list[dict[str, Any]]:
    where = f"{row['network']}, T = {row['T']}, {row['way']}"
    if row["way"] == "--time-chunk 8":
        return [
            target("must", "memory over plain", where, row["memory"], most=MOST),
            target("aim", "time over plain", where, row["time"], most=MOST_TIME),
        ]
    if row["way"] == "--checkpoint-blocks":
        return [target("aim", "memory over plain", where, row["memory"], most=0.6)]
    return []


def _rows(
    name: str, make: Callable[[bool], Any], T: int, seconds: float, quick: bool
) -> list[dict[str, Any]]:
    import torch

    from memory import peak_bytes
    from timing import rounds_of, summary

    size = ((1 if quick else 16), 2, 32, 32) if name == "conv" else (1, 3, 64, 64)
    x = 2 * torch.rand(T, *size, generator=torch.Generator().manual_seed(0))
    steps = {way: _step(make(quick), x, way.split()) for way in WAYS[name]}
    peaks = {}
    for way, step in steps.items():
        step()
        peaks[way] = peak_bytes(step)
    times = {way: [1.0, 1.0] for way in steps} if quick else rounds_of(steps, seconds)
    rows = []
    for way, values in times.items():
        ratios = [one / plain for one, plain in zip(values, times[""], strict=True)]
        row = {"network": name, "T": T, "shape": list(size), "way": way or "plain"}
        row |= {"peak_bytes": peaks[way], "memory": round(peaks[way] / peaks[""], 3)}
        row |= {"ms": summary(values).record(), "time": round(statistics.median(ratios), 3)}
        rows.append(row)
    return rows


def _step(net: Any, x: Any, words: Sequence[str]) -> Callable[[], None]:
    from sj_neurons import functional
    from sj_train.time_chunks import save_memory
    from sj_train.train_classify import Trainer

    wrapped = save_memory(Trainer().get_args_parser().parse_args(list(words)), net)

    def step() -> None:
        wrapped(x).mean(0).square().sum().backward()
        net.zero_grad(set_to_none=True)
        functional.reset_net(net)

    return step


def _conv(quick: bool) -> Any:
    """Two convolutions with LIF neurons, a classifier; no BatchNorm."""
    import torch
    from torch import nn

    import sj_layers as layer
    from sj_neurons import functional, neuron, surrogate

    torch.manual_seed(0)
    channels = 2 if quick else 16
    layers: list[nn.Module] = []
    for inputs in (2, channels):
        layers += [
            layer.Conv2d(inputs, channels, 3, padding=1),
            neuron.LIFNode(surrogate_function=surrogate.ATan()),
            layer.AvgPool2d(2),
        ]
    net = nn.Sequential(*layers, layer.Flatten(), layer.Linear(channels * 64, 10))
    functional.set_step_mode(net, "m")
    functional.set_backend(net, "auto")
    return net


def _resnet(quick: bool) -> Any:
    """ResNet-18 with BatchNorm over all time steps; the small net to see that it runs."""
    if quick:
        return _conv_with_norm()
    import torch

    import sj_layers
    from sj_neurons import functional, neuron, surrogate
    from training_nets import Library, spiking_resnet18

    torch.manual_seed(0)
    net = spiking_resnet18(Library(sj_layers, neuron, surrogate))
    functional.set_step_mode(net, "m")
    functional.set_backend(net, "auto")
    return net


def _conv_with_norm() -> Any:
    from torch import nn

    import sj_layers as layer
    from sj_neurons import functional, neuron

    net = nn.Sequential(
        layer.Conv2d(3, 2, 3), layer.BatchNorm2d(2), neuron.IFNode(), layer.AdaptiveAvgPool2d(1)
    )
    functional.set_step_mode(net, "m")
    return net


def table(result: dict[str, Any]) -> str:
    """The numbers for reading."""
    cells = [
        (
            row["network"], row["way"], f"{row['peak_bytes'] / 2**20:.1f}", f"{row['memory']:.2f}",
            f"{row['ms']['ms']:.0f}", f"{row['time']:.2f}",
        )
        for row in result["sequences"]
    ]  # fmt: skip
    head = ("network", "way", "peak MiB", "of plain", "ms", "of plain")
    about = f"1 thread, float32, allocator {result['settings']['allocator']!r}"
    return f"{text_table(about, head, cells)}\n\n{target_table(result['trainer_targets'])}"


def main(argv: Sequence[str] | None = None) -> int:
    options = parser().parse_args(argv)
    if options.T < 1:
        parser().error(f"argument --T: needs at least 1 time step, got {options.T}")
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
