"""Images at all key frames of a recording: ours against Spike-Zoo's loop, and the memory floor.

    python benchmarks/bench_reconstruct.py FILE.dat              a table
    python benchmarks/bench_reconstruct.py FILE.dat --json FILE  and the numbers as JSON
    python benchmarks/bench_reconstruct.py FILE.dat --check      status 1 if a number misses

Without FILE a simulated recording of the same size is used. Spikes are in memory as each wants
them: uint8 for ours, float32 for Spike-Zoo, whose modules get the window around every key frame.

    counts     integers, fresh memory
    float32    images, fresh memory
    out=       images into memory that is there
    floor      zeros into fresh memory of that size and type

Spike-Zoo 0.2.3.7 is looked for where Python finds packages, or in the folder of --zoo. Its two
module files are loaded alone; its device is set to the CPU.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

from bench_neuron import write
from machine import ALLOCATORS, allocator, cpu, load, restart_with, versions

T, H, W = 301, 250, 400
WINDOW = 41
HALF = WINDOW // 2
# Contender -> (the reference that it is compared with, times faster: must, aim).
TARGETS = {
    "tfp counts": ("spikezoo tfp", 60.0, 100.0),
    "tfp float32": ("spikezoo tfp", 12.0, 12.0),
    "tfp out=": ("spikezoo tfp", 18.0, 18.0),
    "tfi intervals": ("spikezoo tfi", 15.0, 50.0),
    "tfi float32": ("spikezoo tfi", 15.0, 50.0),
    "tfi out=": ("spikezoo tfi", 15.0, 50.0),
}
Call = Callable[[], object]


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    made.add_argument("file", nargs="?", metavar="FILE.dat", help=f"recording of {H}x{W} pixels")
    made.add_argument("--zoo", metavar="FOLDER", help="site-packages folder that holds spikezoo")
    made.add_argument("--json", metavar="FILE", help="where to write all numbers; - prints them")
    made.add_argument("--check", action="store_true", help="fail if a number misses what it must")
    made.add_argument("--quick", action="store_true", help="few rounds: does it run at all?")
    made.add_argument("--seconds", type=float, default=20.0, help="for ours; the reference is slow")
    made.add_argument(
        "--allocator", choices=("kept", "hugepages", "default", "as-is"), default="as-is",
        help="setting of the C library; as-is leaves the environment alone",
    )  # fmt: skip
    return made


def spikes(path: str | None) -> Any:
    """uint8 ``[T, H, W]``."""
    import torch

    import sj_datasets

    if path is not None:
        return torch.from_numpy(sj_datasets.load_vidar_dat(path, H, W))
    generator = torch.Generator().manual_seed(0)
    brightness = torch.rand(H, W, generator=generator)
    noise = torch.rand(T, H, W, generator=generator)
    return (noise < 0.6 * brightness).to(torch.uint8)


def ours(stream: Any) -> dict[str, Call]:
    """Our methods and the memory that they fill."""
    import numpy as np
    import torch

    from sz_models import classical

    shape = (len(stream) - 2 * HALF, H, W)
    out = torch.empty(shape)
    return {
        "tfp counts": lambda: classical.tfp_video(stream, WINDOW, counts=True),
        "tfp float32": lambda: classical.tfp_video(stream, WINDOW),
        "tfp out=": lambda: classical.tfp_video(stream, WINDOW, out=out),
        "tfi intervals": lambda: classical.tfi_video(stream, WINDOW, intervals=True),
        "tfi float32": lambda: classical.tfi_video(stream, WINDOW),
        "tfi out=": lambda: classical.tfi_video(stream, WINDOW, out=out),
        "isi float32": lambda: classical.isi_video(stream, WINDOW),
        "gtfp float32": lambda: classical.gtfp_video(stream),
        "floor counts": lambda: np.empty(shape, np.uint8).fill(0),
        "floor float32": lambda: np.empty(shape, np.float32).fill(0),
        "floor out=": lambda: out.zero_(),
    }


def reference(folder: str | None) -> dict[str, Any]:
    """Spike-Zoo's modules; nothing where it is not installed."""
    nets = {name: _zoo_module(name, folder) for name in ("tfp", "tfi")}
    if None in nets.values():
        return {}
    modules: dict[str, Any] = {
        "spikezoo tfp": nets["tfp"].TFPModel(WINDOW),
        "spikezoo tfi": nets["tfi"].TFIModel(WINDOW),
    }
    modules["spikezoo tfi"].device = "cpu"
    return modules


def loop(module: Any, stream: Any) -> Call:
    """The module at every key frame."""
    import torch

    batch = stream.to(torch.float32)[None]

    def call() -> None:
        for key in range(HALF, batch.shape[1] - HALF):
            module(batch[:, key - HALF : key + HALF + 1])

    return call


def _zoo_module(name: str, folder: str | None) -> Any:
    if folder is None:
        package = importlib.util.find_spec("spikezoo")
        if package is None or package.origin is None:
            return None
        root = Path(package.origin).parent
    else:
        root = Path(folder) / "spikezoo"
    path = root / "archs" / name / "nets.py"
    spec = importlib.util.spec_from_file_location(f"zoo_{name}", path)
    if not path.is_file() or spec is None or spec.loader is None:
        return None
    # Imported by the file, used by nothing that runs here.
    sys.modules.setdefault("cv2", ModuleType("cv2"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def agree(stream: Any, modules: dict[str, Any]) -> None:
    """Stop if images of ours are not the reference's: the speed of other images means nothing."""
    import torch

    from sz_models import classical

    part = stream[100 : 100 + WINDOW]
    for name, module in modules.items():
        video = classical.tfp_video if name.endswith("tfp") else classical.tfi_video
        expected = module(part.to(torch.float32)[None])[0]
        torch.testing.assert_close(video(part, WINDOW), expected, rtol=2e-7, atol=0)


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """All numbers."""
    at_start = load()
    import torch

    torch.set_num_threads(1)
    import sz_models
    from timing import interleaved

    stream = spikes(options.file)
    modules = reference(options.zoo)
    with torch.no_grad():
        agree(stream, modules)
        loops = {name: loop(module, stream) for name, module in modules.items()}
        found = interleaved(ours(stream) | loops, 0.0 if options.quick else options.seconds)
    times = {name: time.record() for name, time in found.items()}
    ms = {name: time["ms"] for name, time in times.items()}
    gains = {
        name: {"gain": round(ms[against] / ms[name], 1), "must": must, "aim": aim}
        for name, (against, must, aim) in TARGETS.items()
        if against in ms
    }
    return {
        "benchmark": "reconstruct",
        "schema": 1,
        "date": datetime.now(UTC).date().isoformat(),
        "cpu": cpu(),
        "versions": {
            "sz-models": sz_models.__version__,
            **versions(("torch", "numpy")),
            "spikezoo": "0.2.3.7" if modules else "absent",
        },
        "settings": {
            "threads": 1,
            "shape": list(stream.shape),
            "window": WINDOW,
            "recording": "file" if options.file else "simulated",
            "allocator": allocator(),
            "allocators": ALLOCATORS,
            "load": at_start,
        },
        "ms": times,
        "gains": gains,
    }


def table(result: dict[str, Any]) -> str:
    """The numbers for reading."""
    lines = [f"1 thread, {result['settings']['shape']}, window {WINDOW}, all key frames"]
    for name, time in result["ms"].items():
        line = f"  {name:<16}{time['ms']:9.1f} ms"
        if gain := result["gains"].get(name):
            line += f"  {gain['gain']:6.1f}x, must {gain['must']:g}, aim {gain['aim']:g}"
        lines.append(line)
    if not result["gains"]:
        lines.append("nothing to compare with: spikezoo is not installed (see --zoo)")
    return "\n".join(lines)


def missed(result: dict[str, Any]) -> list[str]:
    """Contenders that gain less than they must."""
    return [name for name, row in result["gains"].items() if row["gain"] < row["must"]]


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
