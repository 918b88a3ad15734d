"""One training step of three networks: ours in several configurations against SpikingJelly.

    python benchmarks/bench_training.py                    a table
    python benchmarks/bench_training.py --json FILE        and the numbers as JSON
    python benchmarks/bench_training.py --check            status 1 if a number misses what it must

A step is reset, forward, cross entropy of the mean output, backward, SGD. Networks: see
training_nets.py. Ours, always with neurons on 'auto':

    plain            as it is
    fused            sj_layers.fuse(net, training=True)
    expand           an image repeated by `expand` instead of copied
    channels_last    weights and input in channels-last

`ceiling` is what the reference's own step would gain if its neurons cost nothing: no neuron kernel
can do better with the same layers; the other configurations also make layers cheaper.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench_neuron import write
from machine import ALLOCATORS, allocator, cpu, load, restart_with, versions

DISTRIBUTIONS = ("torch", "numpy", "spikingjelly")


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    made.add_argument("--json", metavar="FILE", help="where to write all numbers; - prints them")
    made.add_argument("--check", action="store_true", help="fail if a number misses what it must")
    made.add_argument("--quick", action="store_true", help="one round: does it run at all?")
    made.add_argument("--seconds", type=float, default=30.0, help="per network")
    made.add_argument(
        "--allocator", choices=("kept", "hugepages", "default", "as-is"), default="kept",
        help="setting of the C library; as-is leaves the environment alone",
    )  # fmt: skip
    return made


def contenders(task: Any) -> Iterator[tuple[str, Callable[[], object]]]:
    """Training steps by name; the reference's are missing if it cannot be imported."""
    import torch

    import sj_layers
    from sj_layers.fuse import fuse
    from sj_neurons import functional, neuron, surrogate
    from training_nets import Library

    def made(expand: bool, last: bool, fused: bool) -> Callable[[], object]:
        torch.manual_seed(0)
        net: Any = task.build(Library(sj_layers, neuron, surrogate))
        functional.set_step_mode(net, "m")
        functional.set_backend(net, "auto")
        if fused:
            net = fuse(net, training=True)
        if last:
            net = net.to(memory_format=torch.channels_last)
        return _step(net, _sequence(task, expand, last), task.classes, functional.reset_net)

    for expand in (False, True) if task.is_image else (False,):
        for last in (False, True):
            for fused in (False, True):
                names = [("expand", expand), ("channels_last", last), ("fused", fused)]
                name = " + ".join(word for word, used in names if used) or "plain"
                yield name, made(expand, last, fused)
    yield from _reference(task)


def _reference(task: Any) -> Iterator[tuple[str, Callable[[], object]]]:
    import torch
    from torch import nn

    from training_nets import Library

    try:
        from spikingjelly.activation_based import (  # pyright: ignore[reportMissingImports]
            functional,
            layer,
            neuron,
            surrogate,
        )
    except ImportError:
        return
    torch.manual_seed(0)
    net = task.build(Library(layer, neuron, surrogate))
    functional.set_step_mode(net, "m")
    x = _sequence(task, False, False)
    yield "spikingjelly", _step(net, x, task.classes, functional.reset_net)
    torch.manual_seed(0)
    bare = task.build(Library(layer, neuron, surrogate))
    functional.set_step_mode(bare, "m")
    for path, module in list(bare.named_modules()):
        if isinstance(module, neuron.BaseNode):
            bare.set_submodule(path, nn.Identity())
    yield "spikingjelly without neurons", _step(bare, x, task.classes, functional.reset_net)


def _sequence(task: Any, expand: bool, last: bool) -> Any:
    import torch

    frames = task.frames()
    images = frames if task.is_image else frames.flatten(0, 1)
    if last:
        images = images.to(memory_format=torch.channels_last)
    if not task.is_image:
        return images.unflatten(0, frames.shape[:2])
    if expand:
        return images.unsqueeze(0).expand(task.T, -1, -1, -1, -1)
    repeated = images.repeat(task.T, 1, 1, 1)
    if last:
        repeated = repeated.to(memory_format=torch.channels_last)
    return repeated.unflatten(0, (task.T, -1))


def _step(net: Any, x: Any, classes: int, reset: Callable[[Any], None]) -> Callable[[], object]:
    import torch

    optimizer = torch.optim.SGD(net.parameters(), 1e-3)
    target = torch.arange(x.shape[1]) % classes

    def step() -> None:
        reset(net)
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(net(x).mean(0), target).backward()
        optimizer.step()

    return step


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """All numbers."""
    at_start = load()
    import torch

    torch.set_num_threads(1)
    import sj_layers
    from timing import interleaved
    from training_nets import TASKS

    rows = []
    for name, task in TASKS.items():
        print(f"measuring: {name}", file=sys.stderr, flush=True)
        times = interleaved(dict(contenders(task)), 0.0 if options.quick else options.seconds)
        row = {"net": name, "T": task.T, "shape": list(task.shape)}
        row["ms"] = {key: time.record() for key, time in times.items()}
        rows.append(row | _gains({key: time.ms for key, time in times.items()}, task))
    return {
        "benchmark": "training",
        "schema": 1,
        "date": datetime.now(UTC).date().isoformat(),
        "cpu": cpu(),
        "versions": {"sj-layers": sj_layers.__version__, **versions(DISTRIBUTIONS)},
        "settings": {
            "threads": 1,
            "dtype": "float32",
            "allocator": allocator(),
            "allocators": ALLOCATORS,
            "load": at_start,
        },
        "training": rows,
    }


def _gains(ms: dict[str, float], task: Any) -> dict[str, Any]:
    ours = {name: value for name, value in ms.items() if not name.startswith("spikingjelly")}
    best = min(ours, key=lambda name: ours[name])
    found: dict[str, Any] = {"best": best, "must": task.must, "aim": task.aim}
    if "spikingjelly" in ms:
        found["gain"] = round(ms["spikingjelly"] / ours[best], 3)
        found["ceiling"] = round(ms["spikingjelly"] / ms["spikingjelly without neurons"], 3)
    return found


def table(result: dict[str, Any]) -> str:
    """The numbers for reading."""
    lines = [f"1 thread, float32, allocator {result['settings']['allocator']!r}"]
    for row in result["training"]:
        gain = (
            f"{row['gain']:.2f}x, must {row['must']}, aim {row['aim']}, ceiling of neurons "
            f"alone {row['ceiling']:.2f}x"
            if "gain" in row
            else "nothing to compare with"
        )
        lines += ["", f"{row['net']}  T={row['T']} {tuple(row['shape'])}: {gain}"]
        reference = row["ms"].get("spikingjelly", {}).get("ms")
        for name, time in row["ms"].items():
            times = f"  {reference / time['ms']:5.2f}x" if reference else ""
            mark = "  <- best of ours" if name == row["best"] else ""
            lines.append(f"  {name:<32}{time['ms']:9.1f} ms{times}{mark}")
    return "\n".join(lines)


def missed(result: dict[str, Any]) -> list[str]:
    """Networks whose gain is below what it must be."""
    return [row["net"] for row in result["training"] if row.get("gain", row["must"]) < row["must"]]


def main() -> int:
    options = parser().parse_args()
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
    failures = missed(result) if options.check else []
    if failures:
        print(f"missed: {', '.join(failures)}", file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
