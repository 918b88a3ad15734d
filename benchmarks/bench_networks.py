"""One image by each network: ours against Spike-Zoo's, at the size of its example recording.

    python benchmarks/bench_networks.py                    a table
    python benchmarks/bench_networks.py bsf wgse           only these
    python benchmarks/bench_networks.py --json FILE        and the numbers as JSON
    python benchmarks/bench_networks.py --check            status 1 if a number misses

Both networks get the same weights and the same prepared input (padded, interval maps for bsf) and
must give the same image before they are timed, on one thread, without gradients. Times are CPU
time; the two take turns.

Spike-Zoo 0.2.3.7 is looked for where Python finds packages, or in the folder of --zoo, with einops
and pytorch_wavelets beside it; see `zoo_networks.py` for what is replaced.
"""

from __future__ import annotations

import argparse
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

NAMES = ("base", "spikeclip", "wgse", "ssir", "ssml", "spk2imgnet", "bsf", "stir")
SIZE, QUICK_SIZE = (250, 400), (32, 48)
# Times faster than Spike-Zoo.
MUST = dict.fromkeys(NAMES, 1.0) | {"bsf": 2.0}
# Of the largest value of an image.
TOLERANCE = 1e-4


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    made.add_argument("names", nargs="*", metavar="NETWORK", help=", ".join(NAMES))
    made.add_argument("--zoo", metavar="FOLDER", help="site-packages folder that holds spikezoo")
    made.add_argument("--json", metavar="FILE", help="where to write all numbers; - prints them")
    made.add_argument("--check", action="store_true", help="fail if a number misses what it must")
    made.add_argument(
        "--quick", action="store_true", help="small images, once: does it run at all?"
    )
    made.add_argument("--rounds", type=int, default=5, help="timed calls of each")
    made.add_argument(
        "--allocator", choices=("kept", "hugepages", "default", "as-is"), default="as-is",
        help="setting of the C library; as-is leaves the environment alone",
    )  # fmt: skip
    return made


def contenders(name: str, arch: Callable[..., Any] | None, size: tuple[int, int]) -> dict[str, Any]:
    """Calls by name: ours, and the reference with the same weights where there is one."""
    import torch

    import sz_models
    from sj_neurons.functional import reset_net

    torch.manual_seed(0)
    model = sz_models.build_model_name(name)
    model.device = torch.device("cpu")
    model.build_network("debug")
    stream = torch.rand(1, model.model_length, *size) < 0.3
    ready: Any = model.preprocess_spike(stream.float())
    nets: dict[str, Any] = {"ours": model.network()}
    if arch is not None:
        nets["spikezoo"] = arch(**model.cfg.model_params)
        nets["spikezoo"].load_state_dict(model.network().state_dict(), strict=True)
        nets["spikezoo"].eval()
    if isinstance(ready, dict):  # the reference's maps are float32
        maps = {key: value.float() for key, value in ready["dsft_dict"].items()}
        ready = {**ready, "dsft_dict": maps}

    def call(net: Any) -> Callable[[], Any]:
        def run() -> Any:
            image = net(ready)
            reset_net(net)
            return image[-1] if isinstance(image, tuple) else image

        return run

    return {who: call(net) for who, net in nets.items()}


def agree(name: str, calls: Mapping[str, Callable[[], Any]]) -> float:
    """Largest difference over largest value; stops where the images are not the same."""
    images = {who: call() for who, call in calls.items()}  # also warms up
    if len(images) == 1:
        return 0.0
    ours, theirs = images["ours"], images["spikezoo"]
    difference = float((ours - theirs).abs().max() / theirs.abs().max().clamp_min(1e-12))
    if not difference < TOLERANCE:
        raise RuntimeError(f"{name}: images differ by {difference:.1e} of the largest value")
    return difference


def timed(calls: Mapping[str, Callable[[], Any]], rounds: int) -> dict[str, list[float]]:
    """Milliseconds of CPU time, in turn."""
    spent: dict[str, list[float]] = {who: [] for who in calls}
    for _ in range(rounds):
        for who, call in calls.items():
            start = time.process_time()
            call()
            spent[who].append((time.process_time() - start) * 1e3)
    return spent


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """All numbers."""
    at_start = load()
    import torch

    torch.set_num_threads(1)
    import sz_models
    from zoo_networks import on_the_cpu, zoo_networks

    names = options.names or list(NAMES)
    archs = zoo_networks(names, options.zoo)
    size, rounds = (QUICK_SIZE, 1) if options.quick else (SIZE, options.rounds)
    rows: dict[str, Any] = {}
    for name in names:
        with torch.no_grad(), on_the_cpu():
            calls = contenders(name, archs.get(name), size)
            difference = agree(name, calls)
            spent = timed(calls, rounds)
        row: dict[str, Any] = {
            who: {"ms": round(statistics.median(ms), 1), "low": round(min(ms), 1)}
            for who, ms in spent.items()
        }
        if "spikezoo" in row:
            row["gain"] = round(row["spikezoo"]["ms"] / row["ours"]["ms"], 2)
            row["must"], row["difference"] = MUST[name], float(f"{difference:.1e}")
        rows[name] = row
        print(line(name, row), file=sys.stderr if options.json == "-" else sys.stdout, flush=True)
    return {
        "benchmark": "networks",
        "schema": 1,
        "date": datetime.now(UTC).date().isoformat(),
        "cpu": cpu(),
        "versions": {
            "sz-models": sz_models.__version__,
            **versions(("torch", "numpy")),
            "spikezoo": "0.2.3.7" if archs else "absent",
        },
        "settings": {
            "threads": 1,
            "size": list(size),
            "rounds": rounds,
            "allocator": allocator(),
            "allocators": ALLOCATORS,
            "load": at_start,
        },
        "networks": rows,
    }


def line(name: str, row: Mapping[str, Any]) -> str:
    """One network for reading."""
    text = f"  {name:<12}{row['ours']['ms']:10.1f} ms"
    if "gain" not in row:
        return f"{text}  nothing to compare with: spikezoo is not installed (see --zoo)"
    text += f"  spikezoo {row['spikezoo']['ms']:10.1f} ms"
    return f"{text}  {row['gain']:5.2f}x, must {row['must']:g}"


def missed(result: Mapping[str, Any]) -> list[str]:
    """Networks that gain less than they must, or could not be compared."""
    rows = result["networks"].items()
    return [name for name, row in rows if row.get("gain", 0.0) < MUST[name]]


def main() -> int:
    made = parser()
    options = made.parse_args()
    for name in options.names:
        if name not in NAMES:
            made.error(f"unknown network {name!r}; choose from {', '.join(NAMES)}")
    if options.rounds < 1:
        made.error(f"--rounds must be at least 1, got {options.rounds}")
    if options.allocator != "as-is":
        restart_with(options.allocator)
    try:
        result = measure(options)
    except FileNotFoundError as error:
        made.error(str(error))
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
