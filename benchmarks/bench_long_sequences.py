"""Memory and time of a training step over many time steps, plain and with recomputation.

    python benchmarks/bench_long_sequences.py [--check] [--json FILE]

The most memory allocated at one time within one step (forward, backward) above what lived before,
as torch's profiler counts it, and the median time of the step.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from memory import peak_bytes
from sj_neurons import functional, neuron, surrogate
from sj_train.time_chunks import BlockCheckpoints, TimeChunks

TARGET = 0.35
"""Peak with time chunks over peak of the plain net, T = 64, no BatchNorm."""


class PerStep(nn.Module):
    """A layer for one time step over ``[T, N, ...]``."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x.flatten(0, 1)).unflatten(0, x.shape[:2])


def make_net(channels: int) -> nn.Module:
    """Two convolutions with LIF neurons, a classifier; no BatchNorm."""
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    for inputs in (2, channels):
        layers += [
            PerStep(nn.Conv2d(inputs, channels, 3, padding=1)),
            neuron.LIFNode(step_mode="m", surrogate_function=surrogate.ATan()),
            PerStep(nn.AvgPool2d(2)),
        ]
    return nn.Sequential(*layers, nn.Flatten(2), nn.Linear(channels * 64, 10))


def step_of(net: nn.Module, x: torch.Tensor) -> Callable[[], None]:
    def step() -> None:
        net(x).mean(0).square().sum().backward()
        net.zero_grad(set_to_none=True)
        functional.reset_net(net)

    return step


def measure(step: Callable[[], None], repeats: int) -> dict[str, float]:
    step()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        step()
        times.append(time.perf_counter() - start)
    return {"peak_bytes": peak_bytes(step), "seconds": statistics.median(times)}


def run(args: argparse.Namespace) -> dict[str, Any]:
    x = 2 * torch.rand(args.T, args.batch, 2, 32, 32)
    ways: dict[str, Callable[[nn.Module], nn.Module]] = {
        "plain": lambda net: net,
        "blocks": BlockCheckpoints,
        **{
            f"chunks of {steps}": lambda net, steps=steps: TimeChunks(net, steps)
            for steps in (4, 8, 16)
        },
        "truncated, 8": lambda net: TimeChunks(net, 8, truncate=True),
    }
    rows = {
        name: measure(step_of(wrap(make_net(args.channels)), x), args.repeats)
        for name, wrap in ways.items()
    }
    plain = rows["plain"]
    for row in rows.values():
        row["memory"] = row["peak_bytes"] / plain["peak_bytes"]
        row["time"] = row["seconds"] / plain["seconds"]
    return {"T": args.T, "torch": torch.__version__, "rows": rows}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--T", type=int, default=64)
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--channels", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--check", action="store_true", help="status 1 if the target is missed")
    args = parser.parse_args()
    torch.set_num_threads(1)
    result = run(args)
    print(f"T={args.T}           peak MB   of plain   ms   of plain")
    for name, row in result["rows"].items():
        print(
            f"{name:16} {row['peak_bytes'] / 2**20:8.2f} {row['memory']:9.2f} "
            f"{1e3 * row['seconds']:8.1f} {row['time']:8.2f}"
        )
    if args.json:
        args.json.write_text(json.dumps(result, indent=1) + "\n")
    if args.check and result["rows"]["chunks of 8"]["memory"] > TARGET:
        sys.exit(f"chunks of 8 need more than {TARGET} of the plain net's memory")


if __name__ == "__main__":
    main()
