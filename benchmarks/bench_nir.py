"""NIR graphs: import, and running what was imported, beside Norse's import of the same files.

    python benchmarks/bench_nir.py FOLDER                 a line per file
    python benchmarks/bench_nir.py FOLDER --json FILE     and the numbers as JSON
    python benchmarks/bench_nir.py --check                status 1 if a number misses what it must

FOLDER has `.nir` files, and beside each an `.npz` with its input `in`, `[T, *]`; a larger graph
with a loop, written here, is always measured. A run is a sequence of one sample from the reset
state: ours in step mode 'm' with backend 'auto', Norse's step by step, as it does it. One thread,
no gradients, CPU time of the process.
"""

from __future__ import annotations

import argparse
import importlib
import json
import logging
import sys
import tempfile
import warnings
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import nir
import numpy as np
import torch
from torch import Tensor

import sj_nir
from bench_neuron import write
from machine import allocator, cpu, load, versions
from sj_neurons import functional
from timing import interleaved

DT = 1e-4
MUST = {"import, ms": 1000.0, "gain": 5.0}
IF_DT = {"cnn_sinabs": 1.0}  # whose neurons count steps
DISTRIBUTIONS = ("torch", "numpy", "nir", "sj-neurons", "sj-layers", "sj-nir", "norse")


class Case(NamedTuple):
    """A file and its input `[T, 1, *]`."""

    path: Path
    x_seq: Tensor


def written(folder: Path, steps: int, inputs: int = 700, hidden: int = 256) -> Case:
    """A graph of two layers, the first of them with feedback."""
    draw = np.random.default_rng(0)

    def affine(columns: int, rows: int) -> nir.Affine:
        weight = draw.normal(0, 1 / np.sqrt(columns), (rows, columns)).astype(np.float32)
        return nir.Affine(weight=weight, bias=np.zeros(rows, np.float32))

    def current(size: int) -> nir.CubaLIF:
        zero, one = np.zeros(size), np.ones(size)
        membrane = {"v_leak": zero, "v_threshold": one, "v_reset": zero}
        times = {"tau_syn": 5 * DT * one, "tau_mem": 20 * DT * one}
        fields: dict[str, Any] = {**times, "r": 20 * one, "w_in": 5 * one, **membrane}
        return nir.CubaLIF(**fields)

    graph = nir.NIRGraph(
        nodes={
            "input": nir.Input({"input": np.array([inputs])}),
            "fc1": affine(inputs, hidden),
            "lif1": current(hidden),
            "rec": affine(hidden, hidden),
            "fc2": affine(hidden, 20),
            "lif2": current(20),
            "output": nir.Output({"output": np.array([20])}),
        },
        edges=[
            ("input", "fc1"),
            ("fc1", "lif1"),
            ("lif1", "rec"),
            ("rec", "lif1"),
            ("lif1", "fc2"),
            ("fc2", "lif2"),
            ("lif2", "output"),
        ],
    )
    path = folder / "written_here.nir"
    sj_nir.write_graph(path, graph)
    spikes = draw.random((steps, 1, inputs)) < 0.05
    return Case(path, torch.from_numpy(spikes.astype(np.float32)))


def found(folder: Path) -> list[Case]:
    """The files of a folder that have an input."""
    cases = []
    for path in sorted(folder.glob("*.nir")):
        arrays = path.with_suffix(".npz")
        if arrays.is_file():
            with np.load(arrays) as data:
                cases.append(Case(path, torch.from_numpy(data["in"]).float().unsqueeze(1)))
    return cases


def ours(case: Case) -> Callable[[], Any]:
    """A run of the imported network."""
    net = sj_nir.import_from_nir(case.path, DT, step_mode="m", if_dt=IF_DT.get(case.path.stem))
    functional.set_backend(net, "auto")

    def run() -> Any:
        functional.reset_net(net)
        return net(case.x_seq)

    return run


def norse(case: Case) -> Callable[[], Any] | None:
    """A run of Norse's network; `None` where Norse cannot be imported or does not take the file."""
    try:
        from_nir = importlib.import_module("norse.torch").from_nir
    except ImportError:
        return None

    def run() -> Any:
        state = None
        for x in case.x_seq:
            _, state = net(x, state)
        return state

    try:
        net = from_nir(nir.read(case.path), dt=DT)
        run()
    except Exception as error:  # whatever its parts raise
        print(f"{case.path.name}: not by Norse ({type(error).__name__}: {error})", file=sys.stderr)
        return None
    return run


def measured(case: Case, seconds: float) -> dict[str, Any]:
    """Import and run of one file."""
    contenders: dict[str, Callable[[], Any]] = {
        "import": lambda: sj_nir.import_from_nir(case.path, DT, step_mode="m"),
        "sj_nir": ours(case),
    }
    theirs = norse(case)
    if theirs is not None:
        contenders["norse"] = theirs
    with torch.no_grad():
        times = interleaved(contenders, seconds)
    row: dict[str, Any] = {
        "file": case.path.stem,
        "bytes": case.path.stat().st_size,
        "steps": len(case.x_seq),
        "ms": {name: timing.record() for name, timing in times.items()},
    }
    if theirs is not None:
        row["gain"] = round(times["norse"].ms / times["sj_nir"].ms, 2)
    return row


def told(row: dict[str, Any]) -> str:
    ms = {name: timing["ms"] for name, timing in row["ms"].items()}
    line = (
        f"{row['file']}: import {ms['import']:.1f} ms, {row['steps']} steps {ms['sj_nir']:.2f} ms"
    )
    return line + (f", Norse {ms['norse']:.2f} ms, x {row['gain']:.2f}" if "gain" in row else "")


def missed(rows: Sequence[dict[str, Any]]) -> list[str]:
    """What is slower than it must be."""
    late = [row for row in rows if row["ms"]["import"]["ms"] > MUST["import, ms"]]
    slow = [row for row in rows if row.get("gain", MUST["gain"]) < MUST["gain"]]
    return [row["file"] for row in (*late, *slow)]


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("folder", nargs="?", type=Path, help="where files and inputs are")
    parser.add_argument("--json", metavar="FILE", help="where to write the numbers; - prints them")
    parser.add_argument("--check", action="store_true", help="fail if a number misses what it must")
    parser.add_argument("--seconds", type=float, default=6.0, help="per file")
    args = parser.parse_args(argv)
    if args.folder is not None and not args.folder.is_dir():
        parser.error(f"no folder {args.folder}")
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)  # foreign neurons in other units
    start = load()
    with tempfile.TemporaryDirectory() as folder:
        cases = [] if args.folder is None else found(args.folder)
        rows = []
        for case in [*cases, written(Path(folder), steps=100)]:
            rows.append(measured(case, args.seconds))
            print(told(rows[-1]), flush=True)
    result = {
        "benchmark": "nir",
        "schema": 1,
        "date": datetime.now(UTC).date().isoformat(),
        "cpu": cpu(),
        "settings": {"device": "cpu", "threads": 1, "allocator": allocator(), "load": start},
        "versions": versions(DISTRIBUTIONS),
        "must": MUST,
        "nir": rows,
    }
    if args.json:
        text = json.dumps(result, indent=1) + "\n"
        if args.json == "-":
            print(text, end="")
        else:
            write(text, Path(args.json))
    return int(args.check and bool(missed(rows)))


if __name__ == "__main__":
    sys.exit(main())
