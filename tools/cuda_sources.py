"""Compiles the CUDA kernels of all neurons without a GPU, by NVRTC or nvcc.

    python tools/cuda_sources.py         a cover: any two properties meet in some kernel
    python tools/cuda_sources.py --all   all combinations, into benchmarks/results/

The properties are neuron, surrogate, dtype, reset, detached reset, architecture, form of kernel.
Exits with status 1 if a kernel does not compile, and with 77 if there is neither NVRTC
(pip install nvidia-cuda-nvrtc) nor nvcc.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import re
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import torch

from cuda_compiler import compiler
from sj_neurons import neuron, ops, surrogate
from sj_neurons.kernels import emit_cuda, trace
from sj_neurons.kernels.emit_cuda import Form
from sj_neurons.kernels.plan import Plan, plan

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results" / "cuda_sources.json"
NO_COMPILER = 77
UNIT = 12  # programs per translation unit


class Row(NamedTuple):
    """One choice of each property."""

    neuron: str
    surrogate: str
    dtype: str
    reset: str
    detach: bool
    arch: str
    form: str


def own_step(fire: Any, detach: bool) -> Any:
    """A two-state neuron as a user writes it."""

    def adapting(x: Any, v: Any, a: Any, gain: Any, tau: Any) -> Any:
        h = v + (ops.tanh(gain * x) - v) / tau
        s = ops.fire(h - (1.0 + a), fire)
        kept = ops.detach(s) if detach else s
        return s, ops.maximum(h * (1.0 - kept), 0.0 * h - 1.0), a * 0.9 + ops.where(h > 0.0, s, 0.0)

    params = {"gain": torch.nn.Parameter(torch.ones(3)), "tau": 2.0}
    made = neuron.from_step(adapting, states={"v": 0.0, "a": 0.0}, params=params)
    return made(step_mode="m")


def _plain(cls: Any, *args: Any, **fixed: Any) -> Callable[..., Any]:
    return lambda options: cls(*args, **fixed, **options)


def _without(cls: Any, *args: Any, leave_out: Sequence[str], **fixed: Any) -> Callable[..., Any]:
    """For a class that has not all of the options."""
    return lambda options: cls(
        *args, **fixed, **{k: v for k, v in options.items() if k not in leave_out}
    )


ALL_OPTIONS = ("surrogate_function", "v_reset", "detach_reset")
NEURONS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "ActivationAwareIFNode": _plain(neuron.ActivationAwareIFNode),
    "CUBALIFNode": _plain(neuron.CUBALIFNode),
    "ComplementaryLIFNode": _without(neuron.ComplementaryLIFNode, leave_out=["v_reset"]),
    "EIFNode": _plain(neuron.EIFNode),
    "HalfThresholdIFNode": _without(neuron.HalfThresholdIFNode, leave_out=["v_reset"]),
    "IFNode": _plain(neuron.IFNode),
    "ILIFNode": _without(neuron.ILIFNode, leave_out=ALL_OPTIONS),
    "IzhikevichNode": _plain(neuron.IzhikevichNode, a=0.3, b=0.2),
    "KLIFNode": _plain(neuron.KLIFNode),
    "KLIFNode-scaled": _plain(neuron.KLIFNode, scale_reset=True),
    "LIAFNode": _plain(neuron.LIAFNode, torch.sigmoid, True),
    "LIFNode": _plain(neuron.LIFNode),
    "LIFNode-undecayed": _plain(neuron.LIFNode, decay_input=False),
    "ParametricLIFNode": _plain(neuron.ParametricLIFNode),
    "ParametricLIFNode-undecayed": _plain(neuron.ParametricLIFNode, decay_input=False),
    "QIFNode": _plain(neuron.QIFNode),
    "RAFNode": _plain(neuron.RAFNode),
    "STBIFNeuron": _without(neuron.STBIFNeuron, 0.5, 8, leave_out=ALL_OPTIONS),
    "TernaryIFNode": _plain(neuron.TernaryIFNode),
    "TernaryLIFNode": _plain(neuron.TernaryLIFNode),
    "from_step": lambda options: own_step(options["surrogate_function"], options["detach_reset"]),
}

SURROGATES: dict[str, Callable[[], Any]] = {
    name: getattr(surrogate, name)
    for name in (
        "ATan", "DeterministicPass", "Erf", "FakeNumericalGradient", "LeakyKReLU", "LogTailedReLU",
        "NonzeroSignLogAbs", "PiecewiseExp", "PiecewiseLeakyReLU", "PiecewiseQuadratic",
        "QPseudoSpike", "Rect", "S2NN", "Sigmoid", "SoftSign", "SquarewaveFourierSeries",
        "SuperSpike",
    )
} | {"MultiLevelSpikeCount": lambda: surrogate.MultiLevelSpikeCount(4)}  # fmt: skip

DTYPES = ("float32", "float16", "bfloat16")
ARCHS = ("sm_80", "sm_90")
# cheapest first: the cover takes the first one where it has the choice, and never the last
FORMS: dict[str, Callable[[int], Form]] = {
    "backward-2": lambda width: Form("backward", 1, 2),
    "backward-4-wide": lambda width: Form("backward", width, 4),
    "forward-wide": lambda width: Form("forward", width),
    "backward-16": lambda width: Form("backward", 1, 16),
    "forward": lambda width: Form("forward"),
    "backward-any": lambda width: Form("backward"),
    "backward-32": lambda width: Form("backward", 1, 32),
}
FACTORS: tuple[tuple[Any, ...], ...] = (
    tuple(NEURONS), tuple(SURROGATES), DTYPES, ("hard", "soft"), (False, True), ARCHS,
    tuple(FORMS)[:-1],
)  # fmt: skip
ALL_WITH = "backward-2"  # with --all; the surrogate changes the adjoint, not the loops


# which combinations


def cover(factors: Sequence[Sequence[Any]]) -> list[tuple[Any, ...]]:
    """Rows in which every two values of different factors meet at least once.

    The first two factors, which should be the longest, are run through; the others are chosen so
    that the most new pairs arise, the first values where it makes no difference.
    """
    others = list(itertools.product(*factors[2:]))
    missing = {
        ((i, a), (j, b))
        for (i, first), (j, second) in itertools.combinations(enumerate(factors), 2)
        for a in first
        for b in second
    }
    rows: list[tuple[Any, ...]] = []

    def pairs(row: Sequence[Any]) -> Iterator[Any]:
        return itertools.combinations(enumerate(row), 2)

    def take(candidates: Iterable[tuple[Any, ...]]) -> None:
        best = max(candidates, key=lambda row: sum(pair in missing for pair in pairs(row)))
        missing.difference_update(pairs(best))
        rows.append(best)

    for two in itertools.product(*factors[:2]):
        take((*two, *rest) for rest in others)
    while missing:
        (i, a), (j, b) = min(missing, key=repr)
        choices = [[a] if k == i else [b] if k == j else values for k, values in enumerate(factors)]
        take(itertools.product(*choices))
    return rows


def everything() -> list[Row]:
    """All combinations with one form; the other forms with one surrogate and detached resets."""
    rows = [Row(*values) for values in itertools.product(*FACTORS[:-1], FORMS)]
    return [row for row in rows if row.form == ALL_WITH or (row.surrogate == "ATan" and row.detach)]


# from a row to a source


@lru_cache(maxsize=4096)
def plan_of(name: str, of_surrogate: str, reset: str, detach: bool) -> Plan:
    """The plan of a neuron with these options."""
    options: dict[str, Any] = {
        "surrogate_function": SURROGATES[of_surrogate](),
        "v_reset": 0.0 if reset == "hard" else None,
        "detach_reset": detach,
    }
    node = NEURONS[name](options)
    return plan(trace.trace(node).program.text)


@dataclass(frozen=True)
class Kernel:
    """A kernel to compile; `row` is one of those that lead to it."""

    row: Row
    source: str  # with @ for its name
    form: Form


def kernels_of(rows: Iterable[Row]) -> list[Kernel]:
    """The kernels of these rows, each text once per architecture."""
    found: dict[tuple[str, str], Kernel] = {}
    for row in rows:
        made = plan_of(row.neuron, row.surrogate, row.reset, row.detach)
        form = FORMS[row.form](4 if row.dtype == "float32" else 8)
        if made.has_gradient or form.direction == "forward":
            source = emit_cuda.cuda_source(made, row.dtype, "@", [form])
            found.setdefault((row.arch, source), Kernel(row, source, form))
    return list(found.values())


def units_of(kernels: Sequence[Kernel]) -> list[list[Kernel]]:
    """Kernels of one architecture each, in groups for one call of the compiler."""
    groups = [[k for k in kernels if k.row.arch == arch] for arch in ARCHS]
    return [group[i : i + UNIT] for group in groups for i in range(0, len(group), UNIT)]


# compiling


@dataclass(frozen=True)
class Compiled:
    """What the compiler says of a kernel."""

    row: Row
    registers: int
    spilled: int  # bytes


_USED = re.compile(
    r"entry function '(?P<name>\w+)'.*?(?P<stores>\d+) bytes spill stores, "
    r"(?P<loads>\d+) bytes spill loads.*?Used (?P<registers>\d+) registers",
    re.DOTALL,
)


def compile_unit(unit: Sequence[Kernel]) -> tuple[list[Compiled], str]:
    """What became of the kernels of one unit, and the compiler's words if it failed."""
    chosen = compiler()
    assert chosen is not None
    arch = unit[0].row.arch
    texts = [kernel.source.replace("@", f"sj{i}") for i, kernel in enumerate(unit)]
    good, log = chosen.compile("\n".join((emit_cuda.prelude(), *texts)), arch, emit_cuda.OPTIONS)
    if not good:
        rows = "\n".join(", ".join(map(str, kernel.row)) for kernel in unit)
        return [], f"one of these does not compile:\n{rows}\n{log}"
    used = {match["name"]: match for match in _USED.finditer(log)}
    compiled = []
    for i, kernel in enumerate(unit):
        match = used[emit_cuda.kernel_name(f"sj{i}", kernel.form)]
        spilled = int(match["stores"]) + int(match["loads"])
        compiled.append(Compiled(kernel.row, int(match["registers"]), spilled))
    return compiled, ""


def compile_all(kernels: Sequence[Kernel], processes: int) -> list[Compiled]:
    """Compile all kernels.

    Raises:
        RuntimeError: one does not compile.
    """
    results: list[Compiled] = []
    with ProcessPoolExecutor(max_workers=processes) as pool:
        for compiled, error in pool.map(compile_unit, units_of(kernels)):
            if error:
                pool.shutdown(cancel_futures=True)
                raise RuntimeError(error)
            results += compiled
    return results


def summary(results: Sequence[Compiled], version: str, rows: int) -> dict[str, Any]:
    """Registers and spills by form, dtype and architecture, and by neuron."""

    def of(group: Sequence[Compiled]) -> dict[str, Any]:
        registers = [result.registers for result in group]
        return {
            "kernels": len(group),
            "registers": [min(registers), statistics.median_low(registers), max(registers)],
            "spilling": sum(result.spilled > 0 for result in group),
        }

    def by(key: Callable[[Row], str]) -> dict[str, Any]:
        names = sorted({key(result.row) for result in results})
        return {name: of([r for r in results if key(r.row) == name]) for name in names}

    return {
        "compiler": version,
        "options": list(emit_cuda.OPTIONS),
        "combinations": rows,
        "registers": "least, median, most",
        "all": of(results),
        "by_form": by(lambda row: f"{row.form} {row.dtype} {row.arch}"),
        "by_neuron": by(lambda row: row.neuron),
        "spills": [
            {**result.row._asdict(), "registers": result.registers, "bytes": result.spilled}
            for result in results
            if result.spilled
        ],
    }


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--all", action="store_true", help="all combinations, minutes to an hour")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args(arguments)
    chosen = compiler()
    if chosen is None:
        print("neither NVRTC (pip install nvidia-cuda-nvrtc) nor nvcc is here", file=sys.stderr)
        return NO_COMPILER
    started = time.monotonic()
    rows = everything() if options.all else [Row(*row) for row in cover(FACTORS)]
    kernels = kernels_of(rows)
    try:
        results = compile_all(kernels, options.processes)
    except RuntimeError as error:
        print(error, file=sys.stderr)
        return 1
    report = summary(results, chosen.version(), len(rows))
    if options.all:
        RESULTS.parent.mkdir(parents=True, exist_ok=True)
        part = RESULTS.with_suffix(".part")
        part.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
        os.replace(part, RESULTS)
    least, middle, most = report["all"]["registers"]
    print(
        f"{chosen.version()}: {len(rows)} combinations, {len(results)} kernels compiled in "
        f"{time.monotonic() - started:.0f} s; registers {least} to {most}, median {middle}; "
        f"{report['all']['spilling']} spill"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
