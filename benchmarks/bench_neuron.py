"""Times and bytes of multi-step neurons: ours on every backend, and other libraries' LIF.

    python benchmarks/bench_neuron.py                      tables
    python benchmarks/bench_neuron.py --json FILE          and the numbers as JSON
    python benchmarks/bench_neuron.py --check              status 1 if a number misses what it must

What is measured: parts.py. What it is held against: report.py. The command starts itself anew with
an allocator that keeps its memory (machine.py), unless another setting is asked for.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from machine import ALLOCATORS, allocator, cpu, load, restart_with, versions

SCHEMA = 1
SIZES = [(4, 1 << 20), (16, 1 << 20), (128, 1 << 16), (500, 16000), (4, 4096)]
NEURON_SIZES = [(16, 1 << 18), (4, 1 << 20)]
SOME_SIZES = [(4, 1 << 20), (16, 1 << 20)]
TINY = [(4, 4096)]
PARTS = ("lif", "memory", "neurons", "dtypes", "threads", "start", "allocators")
ON_GPU = ("lif", "dtypes")
DISTRIBUTIONS = ("torch", "numpy", "spikingjelly", "snntorch", "norse", "sinabs")


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    made.add_argument("--json", metavar="FILE", help="where to write all numbers; - prints them")
    made.add_argument("--check", action="store_true", help="fail if a number misses what it must")
    made.add_argument("--quick", action="store_true", help="tiny sizes: does it run at all?")
    made.add_argument("--parts", type=_parts, default=PARTS, help=f"some of {','.join(PARTS)}")
    made.add_argument("--sizes", type=_sizes, help="sizes of the LIF, such as 4x4096,16x65536")
    made.add_argument("--seconds", type=float, default=3.0, help="CPU time per row")
    made.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    made.add_argument(
        "--allocator", choices=("kept", "hugepages", "default", "as-is"), default="kept",
        help="setting of the C library; as-is leaves the environment alone",
    )  # fmt: skip
    return made


def _parts(value: str) -> tuple[str, ...]:
    chosen = tuple(value.split(","))
    if unknown := set(chosen) - set(PARTS):
        raise argparse.ArgumentTypeError(f"no such part: {', '.join(sorted(unknown))}")
    return chosen


def _sizes(value: str) -> list[tuple[int, int]]:
    sizes = []
    for size in value.split(","):
        T, _, N = size.partition("x")
        if not (T.isdecimal() and N.isdecimal() and int(T) and int(N)):
            raise argparse.ArgumentTypeError(f"a size is T x N, such as 4x4096, got {size!r}")
        sizes.append((int(T), int(N)))
    return sizes


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """All numbers of the parts asked for."""
    at_start = load()
    for quiet, level in (("KINETO_LOG_LEVEL", "99"), ("TORCH_CPP_LOG_LEVEL", "ERROR")):
        os.environ.setdefault(quiet, level)  # the profiler talks otherwise
    import torch  # after the allocator is settled

    torch.set_num_threads(1)
    import parts
    import sj_neurons

    quick, seconds, device = options.quick, options.seconds, options.device
    chosen = [p for p in options.parts if device == "cpu" or p in ON_GPU]
    some, many = (TINY, TINY) if quick else (SOME_SIZES, NEURON_SIZES)
    sizes = options.sizes or (TINY if quick else SIZES)
    if quick:
        seconds = min(seconds, 0.01)
    measures = {
        "lif": lambda: parts.lif(sizes, seconds, device),
        "memory": lambda: parts.memory(*sizes[0]),
        "neurons": lambda: parts.neurons(many, seconds / 3),
        "dtypes": lambda: parts.dtypes(some, seconds / 2, device),
        "threads": lambda: parts.threads(some, seconds / 2, min(2, os.cpu_count() or 1)),
        "start": lambda: parts.start(1 if quick else 3),
        "allocators": lambda: parts.allocators(some, seconds / 2),
    }
    result: dict[str, Any] = {
        "benchmark": "neuron",
        "schema": SCHEMA,
        "date": datetime.now(UTC).date().isoformat(),
        "cpu": cpu(),
        "versions": {"sj-neurons": sj_neurons.__version__, **versions(DISTRIBUTIONS)},
        "settings": {
            "device": torch.cuda.get_device_name() if device == "cuda" else "cpu",
            "threads": 1,
            "allocator": allocator(),
            "allocators": ALLOCATORS,
            "load": at_start,
            "seconds": seconds,
        },
    }
    for part in chosen:
        print(f"measuring: {part}", file=sys.stderr, flush=True)
        result[part] = measures[part]()
    return result


def write(text: str, path: Path) -> None:
    """Write a file that appears complete or not at all."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise


def main() -> int:
    options = parser().parse_args()
    target = Path(options.json) if options.json not in (None, "-") else None
    if target is not None and not target.parent.is_dir():
        print(f"bench_neuron: there is no folder {target.parent} to write to", file=sys.stderr)
        return 2
    if options.allocator != "as-is":
        restart_with(options.allocator)
    result = measure(options)
    import report

    result["targets"] = report.targets(result)
    encoded = json.dumps(result, indent=1) + "\n"
    if options.json == "-":
        print(encoded, end="")
    else:
        print(report.text(result))
    if target is not None:
        write(encoded, target)
    missed = [row for row in result["targets"] if row["kind"] == "must" and not row["met"]]
    if options.check and not any(row["kind"] == "must" for row in result["targets"]):
        print("bench_neuron: nothing was measured that must be met", file=sys.stderr)
        return 1
    return 1 if options.check and missed else 0


if __name__ == "__main__":
    sys.exit(main())
