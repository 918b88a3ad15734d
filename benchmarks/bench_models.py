"""Whole models of the zoo against SpikingJelly's: training, inference, memory, construction.

    python benchmarks/bench_models.py                      a table
    python benchmarks/bench_models.py spikformer_ti        only this
    python benchmarks/bench_models.py --json FILE          and the numbers as JSON
    python benchmarks/bench_models.py --check              status 1 if a number misses what it must

Both get the same weights and the same input [T, N, 3, size, size], and must give the same scores
before they are timed, on one thread and in float32; they take turns, medians count. A training step
is reset, forward, cross entropy of the mean output, backward, SGD. Ours:

    auto        neurons on backend 'auto'
    fused       sj_layers.fuse: for training, norm and neuron in one kernel; for inference, norms
                folded into the layer before

`ceiling` is what the reference's own step would gain if its neurons cost nothing. Memory is what a
training step allocates at its peak beside the weights, gradients included, for `--memory-batch`
samples; the better of ours counts.
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench_neuron import write
from machine import ALLOCATORS, allocator, cpu, load, restart_with, versions

DISTRIBUTIONS = ("torch", "numpy", "spikingjelly")
NAMES = ("spiking_resnet18", "sew_resnet18", "spikformer_ti", "spiking_vgg11_bn")
TOLERANCE = 1e-4  # of the largest score
MEMORY_MUST, CONSTRUCTION_MUST = 0.85, 1.0  # times the reference's, at most
PEER = "spikingjelly"


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    made.add_argument("names", nargs="*", metavar="MODEL", help=", ".join(NAMES))
    made.add_argument("--json", metavar="FILE", help="where to write all numbers; - prints them")
    made.add_argument("--check", action="store_true", help="fail if a number misses what it must")
    made.add_argument("--quick", action="store_true", help="one round: does it run at all?")
    made.add_argument("--seconds", type=float, default=40.0, help="per model, for training")
    made.add_argument("--batch", type=int, default=2, help="N")
    made.add_argument("--memory-batch", type=int, default=8, help="N for the memory of a step")
    made.add_argument("--steps", type=int, default=4, help="T")
    made.add_argument("--size", type=int, default=64, help="pixels a side")
    made.add_argument("--builds", type=int, default=5, help="timed constructions of each")
    made.add_argument(
        "--allocator", choices=("kept", "hugepages", "default", "as-is"), default="kept",
        help="setting of the C library; as-is leaves the environment alone",
    )  # fmt: skip
    return made


def measured(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """All numbers of one model."""
    import torch

    from model_contenders import MODELS, ours, reference, without_neurons

    model, own, peer = MODELS[name], ours(), reference()
    shape = (options.steps, options.batch, 3, options.size, options.size)
    x = torch.rand(shape, generator=torch.Generator().manual_seed(0))

    def build(library: Any) -> Any:
        return model.build(library, options.size, options.steps)

    row: dict[str, Any] = {"must": {"training": model.training, "inference": model.inference}}
    theirs = build(peer) if peer else None
    net = build(own)
    if theirs is not None:
        net.load_state_dict(theirs.state_dict())
        row["difference"] = agree(name, net, theirs, x)
    own.functional.set_backend(net, "auto", own.neuron.BaseNode)
    seconds = 0.0 if options.quick else options.seconds
    free = without_neurons(build(peer), peer) if peer else None
    row["training"] = training(net, theirs, free, x, own, peer, seconds)
    many = x[:, :1].repeat(1, 1 if options.quick else options.memory_batch, 1, 1, 1)
    row["memory"] = memory(net, theirs, many, own, peer)
    row["inference"] = inferring(net, theirs, x, own, peer, seconds / 4)
    del net, theirs, free
    builders = {"ours": lambda: build(own)} | ({PEER: lambda: build(peer)} if peer else {})
    row["construction"] = constructions(builders, 1 if options.quick else options.builds)
    return row | gains(row)


def agree(name: str, net: Any, theirs: Any, x: Any) -> float:
    """Largest difference of the scores over the largest; stops where they are not the same."""
    import torch

    with torch.no_grad():
        a, b = (each.eval()(x) for each in (net, theirs))
    if b.dim() < a.dim():
        a = a.mean(0)
    for each in (net, theirs):
        for module in each.modules():
            if hasattr(module, "reset"):
                module.reset()
    difference = float((a - b).abs().max() / b.abs().max().clamp_min(1e-12))
    if not difference < TOLERANCE:
        raise RuntimeError(f"{name}: scores differ by {difference:.1e} of the largest")
    return difference


def training(
    net: Any, theirs: Any, free: Any, x: Any, own: Any, peer: Any, seconds: float
) -> dict[str, Any]:
    """Times of a training step, by contender."""
    import sj_layers
    from model_contenders import training_step
    from timing import interleaved

    fused = sj_layers.fuse(net, training=True)
    calls = {
        "auto": training_step(net, x, own.functional.reset_net),
        "fused": training_step(fused, x, own.functional.reset_net),
    }
    if theirs is not None:
        calls[PEER] = training_step(theirs, x, peer.functional.reset_net)
        calls[f"{PEER} without neurons"] = training_step(free, x, peer.functional.reset_net)
    return {who: timing.record() for who, timing in interleaved(calls, seconds).items()}


def memory(net: Any, theirs: Any, x: Any, own: Any, peer: Any) -> dict[str, float]:
    """MiB that a training step allocates at its peak, by contender."""
    import sj_layers
    from memory import peak_bytes
    from model_contenders import training_step

    fused = sj_layers.fuse(net, training=True)
    nets = {"auto": (net, own), "fused": (fused, own)}
    if theirs is not None:
        nets[PEER] = (theirs, peer)
    peaks = {}
    for who, (each, library) in nets.items():
        step = training_step(each, x, library.functional.reset_net)
        step()  # gradients and kernels are there
        library.functional.reset_net(each)
        each.zero_grad(set_to_none=True)
        gc.collect()
        peaks[who] = round(peak_bytes(step) / 2**20, 1)
        each.zero_grad(set_to_none=True)
    return peaks


def inferring(net: Any, theirs: Any, x: Any, own: Any, peer: Any, seconds: float) -> dict[str, Any]:
    """Times of a forward pass without gradients, by contender."""
    import sj_layers
    from model_contenders import inference
    from timing import interleaved

    fused = sj_layers.fuse(net.eval())
    calls: dict[str, Callable[[], object]] = {
        "auto": inference(net, x, own.functional.reset_net),
        "fused": inference(fused, x, own.functional.reset_net),
    }
    if theirs is not None:
        calls[PEER] = inference(theirs, x, peer.functional.reset_net)
    return {who: timing.record() for who, timing in interleaved(calls, seconds).items()}


def constructions(builders: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Median milliseconds to make a model, by contender, in turn."""
    spent: dict[str, list[float]] = {who: [] for who in builders}
    for made in range(-1, rounds):
        for who, build in builders.items():
            gc.collect()
            start = time.process_time()
            net = build()
            if made >= 0 or rounds == 1:
                spent[who].append((time.process_time() - start) * 1e3)
            del net
    return {who: round(statistics.median(ms), 2) for who, ms in spent.items()}


def gains(row: Mapping[str, Any]) -> dict[str, Any]:
    """What the reference's numbers are of the best of ours; empty without a reference."""
    times = {kind: {k: t["ms"] for k, t in row[kind].items()} for kind in ("training", "inference")}
    if PEER not in times["training"]:
        return {}
    found: dict[str, Any] = {}
    for kind, ms in times.items():
        best = min(("auto", "fused"), key=lambda who, ms=ms: ms[who])
        found[f"{kind}_best"], found[f"{kind}_gain"] = best, round(ms[PEER] / ms[best], 3)
    ms = times["training"]
    found["fused_inference_gain"] = round(times["inference"][PEER] / times["inference"]["fused"], 3)
    found["ceiling"] = round(ms[PEER] / ms[f"{PEER} without neurons"], 3)
    peaks = row["memory"]
    found["memory_ratio"] = round(min(peaks["auto"], peaks["fused"]) / peaks[PEER], 3)
    built = row["construction"]
    found["construction_ratio"] = round(built["ours"] / built[PEER], 3)
    return found


def targets(name: str, row: Mapping[str, Any]) -> list[tuple[str, float, str, bool]]:
    """What is asked of a model: text, measured value, limit, whether it holds."""
    if "training_gain" not in row:
        return []
    must = row["must"]
    found = [
        (
            f"{name}: training step", row["training_gain"], f">= {must['training']:g}",
            row["training_gain"] >= must["training"],
        ),
        (
            f"{name}: peak memory", row["memory_ratio"], f"<= {MEMORY_MUST:g}",
            row["memory_ratio"] <= MEMORY_MUST,
        ),
        (
            f"{name}: construction", row["construction_ratio"], f"<= {CONSTRUCTION_MUST:g}",
            row["construction_ratio"] <= CONSTRUCTION_MUST,
        ),
    ]  # fmt: skip
    if must["inference"]:
        gain = row["fused_inference_gain"]
        limit = must["inference"]
        found.append((f"{name}: fused inference", gain, f">= {limit:g}", gain >= limit))
    return found


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """All numbers."""
    at_start = load()
    import torch

    torch.set_num_threads(1)
    import sj_models

    rows: dict[str, Any] = {}
    for name in options.names or NAMES:
        print(f"measuring: {name}", file=sys.stderr, flush=True)
        rows[name] = measured(name, options)
    return {
        "benchmark": "models",
        "schema": 1,
        "date": datetime.now(UTC).date().isoformat(),
        "cpu": cpu(),
        "versions": {"sj-models": sj_models.__version__, **versions(DISTRIBUTIONS)},
        "settings": {
            "threads": 1,
            "dtype": "float32",
            "shape": [options.steps, options.batch, 3, options.size, options.size],
            "memory_batch": options.memory_batch,
            "allocator": allocator(),
            "allocators": ALLOCATORS,
            "load": at_start,
        },
        "models": rows,
    }


def table(result: Mapping[str, Any]) -> str:
    """The numbers for reading."""
    settings = result["settings"]
    lines = [
        f"[T, N, C, H, W] = {settings['shape']}, 1 thread, float32, "
        f"allocator {settings['allocator']!r}"
    ]
    for name, row in result["models"].items():
        ceiling = f", ceiling of neurons alone {row['ceiling']:.2f}x" if "ceiling" in row else ""
        lines += ["", f"{name}{ceiling}"]
        for kind in ("training", "inference"):
            reference = row[kind].get(PEER, {}).get("ms")
            for who, time_ in row[kind].items():
                gain = f"  {reference / time_['ms']:5.2f}x" if reference else ""
                lines.append(f"  {kind:<10}{who:<32}{time_['ms']:9.1f} ms{gain}")
        for kind, unit in (("memory", "MiB"), ("construction", "ms")):
            for who, value in row[kind].items():
                lines.append(f"  {kind:<14}{who:<28}{value:9.1f} {unit}")
        for what, value, limit, holds in targets(name, row):
            mark = "pass" if holds else "MISS"
            lines.append(f"  {mark}  {what} {value:.3f}, wanted {limit}")
    return "\n".join(lines)


def main() -> int:
    made = parser()
    options = made.parse_args()
    for name in options.names:
        if name not in NAMES:
            made.error(f"unknown model {name!r}; choose from {', '.join(NAMES)}")
    counts = (options.batch, options.memory_batch, options.steps, options.builds)
    if min(counts) < 1 or options.size < 32:
        made.error(
            "--batch, --memory-batch, --steps and --builds must be at least 1, --size at least 32"
        )
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
    asked = [target for name, row in result["models"].items() for target in targets(name, row)]
    failures = [what for what, _, _, holds in asked if not holds]
    failures += [
        f"{name}: no SpikingJelly to compare with"
        for name, row in result["models"].items()
        if "training_gain" not in row
    ]
    failures = failures if options.check else []
    if failures:
        print(f"missed: {', '.join(failures)}", file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
