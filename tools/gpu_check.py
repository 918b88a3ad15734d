"""Everything that needs an NVIDIA GPU: the tests marked gpu, then the GPU benchmarks.

    python3 tools/gpu_check.py [--no-tests] [--no-benchmarks] [--minutes 8]

Runs from a checkout with whatever torch and CuPy are there, without installing anything and
without a network. Writes benchmarks/results/<gpu>.json. Exits with status 1 if a test fails, with 2
if there is no GPU to use.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
SOURCES = sorted(ROOT.glob("packages/*/src"))
sys.path[:0] = [str(Path(__file__).resolve().parent), *map(str, SOURCES)]

TEST_SECONDS = 270  # of the time there is


def why_no_gpu() -> str | None:
    """Why nothing can be done here, or None."""
    try:
        import torch
    except ImportError:
        return "torch is not installed"
    if not torch.cuda.is_available():
        return f"torch {torch.__version__} finds no NVIDIA GPU"
    from sj_neurons.kernels import cuda

    return cuda.why_unavailable()


def files_with_gpu_tests() -> list[str]:
    """Test files that hold tests marked gpu; the others may need what is not installed."""
    found = [*ROOT.glob("packages/*/tests/test_*.py"), *ROOT.glob("tests/**/test_*.py")]
    marked = [path for path in sorted(found) if "mark.gpu" in path.read_text(encoding="utf-8")]
    return [str(path.relative_to(ROOT)) for path in marked]


def run_tests(seconds: float) -> dict[str, Any]:
    """What became of the tests: counts, and whether all is well."""
    if importlib.util.find_spec("pytest") is None:
        return run_without_pytest()
    command = [sys.executable, "-m", "pytest", "-m", "gpu", "-q", "-W", "default"]
    command += ["-p", "no:cacheprovider", *files_with_gpu_tests()]
    places = os.pathsep.join([*map(str, SOURCES), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": places}
    try:
        done = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=seconds
        )
    except subprocess.TimeoutExpired:
        return {"runner": "pytest", "good": False, "summary": f"not done after {seconds:.0f} s"}
    print(done.stdout[-6000:])
    lines = done.stdout.strip().splitlines() or [done.stderr.strip()[-500:]]
    counts = {name: int(n) for n, name in re.findall(r"(\d+) (passed|failed|skipped)", lines[-1])}
    return {"runner": "pytest", "good": done.returncode == 0, **counts}


def run_without_pytest() -> dict[str, Any]:
    """The most telling comparison with torch: spikes of common neurons, all equal."""
    import torch

    from sj_neurons import neuron

    passed = failed = 0
    for cls in (neuron.IFNode, neuron.LIFNode, neuron.ParametricLIFNode):
        for v_reset in (0.0, None):
            for T in (4, 40):
                x = torch.rand(T, 1 << 17, device="cuda") * 3.8 - 0.5
                spikes = []
                for backend in ("cupy", "torch"):
                    node = cls(v_reset=v_reset, step_mode="m").cuda()
                    node.backend = backend
                    spikes.append(node(x).detach())
                good = bool(torch.equal(*spikes)) and bool(spikes[0].any())
                passed, failed = passed + good, failed + (not good)
    return {"runner": "built in", "good": not failed, "passed": passed, "failed": failed}


def versions() -> dict[str, str]:
    """What the results were obtained with."""
    import cupy  # pyright: ignore[reportMissingImports]
    import torch

    nvrtc = ".".join(map(str, cupy.cuda.nvrtc.getVersion()))
    return {
        "gpu": torch.cuda.get_device_name(),
        "capability": ".".join(map(str, torch.cuda.get_device_capability())),
        "torch": torch.__version__,
        "torch_cuda": torch.version.cuda or "",
        "cupy": cupy.__version__,
        "nvrtc": nvrtc,
        "cuda_driver": str(cupy.cuda.runtime.driverGetVersion()),
        "python": sys.version.partition(" ")[0],
    }


def write(results: dict[str, Any]) -> Path:
    """Write the results beside those of other GPUs."""
    name = re.sub(r"[^a-z0-9]+", "-", results["versions"]["gpu"].lower()).strip("-")
    path = ROOT / "benchmarks" / "results" / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    os.replace(part, path)
    return path


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--no-tests", action="store_true")
    parser.add_argument("--no-benchmarks", action="store_true")
    parser.add_argument("--minutes", type=float, default=8.0, help="time for everything")
    options = parser.parse_args(arguments)
    deadline = time.monotonic() + 60 * options.minutes - 15
    reason = why_no_gpu()
    if reason is not None:
        print(f"gpu_check: there is no GPU to use here: {reason}", file=sys.stderr)
        return 2
    results: dict[str, Any] = {"versions": versions()}
    if not options.no_tests:
        results["tests"] = run_tests(min(TEST_SECONDS, deadline - time.monotonic()))
        print(f"tests: {results['tests']}")
    if not options.no_benchmarks:
        from gpu_benchmarks import all_benchmarks

        results["benchmarks"] = all_benchmarks(deadline)
    path = write(results)
    print(f"written: {path.relative_to(ROOT)}")
    return 0 if results.get("tests", {}).get("good", True) else 1


if __name__ == "__main__":
    sys.exit(main())
