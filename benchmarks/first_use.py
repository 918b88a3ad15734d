"""Times from fresh processes: import, first use of a neuron that was never compiled, second start.

Without arguments: measures with a cache folder of its own and prints one JSON object. With a
neuron's literal: is one of the fresh processes.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import tempfile
import time


def measure() -> dict[str, float]:
    """Milliseconds: the import, what the first fused neuron of a process loads beside itself, a
    neuron's first use with an empty cache folder and with a filled one, and a later use.
    """
    with tempfile.TemporaryDirectory() as folder:
        literal = f"0.{time.time_ns()}"  # makes a neuron that no cache and no wheel has
        first, second = (_fresh(literal, folder) for _ in range(2))
    return {
        "import": min(first["import"], second["import"]),
        "backend": min(first["backend"], second["backend"]),
        "compiled": first["use"],
        "cached": second["use"],
        "warm": min(first["again"], second["again"]),
    }


def _fresh(literal: str, folder: str) -> dict[str, float]:
    environment = os.environ | {"SJ_NEURONS_CACHE": folder}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # as installed: Python compiles once
    done = subprocess.run(
        [sys.executable, __file__, literal],
        stdout=subprocess.PIPE, text=True, check=True, env=environment,
    )  # fmt: skip
    return json.loads(done.stdout)


def use(literal: float) -> dict[str, float]:
    """What a user waits for: the import, and forward and backward of a small layer."""
    import torch

    start = time.perf_counter()
    import sj_neurons
    from sj_neurons import neuron, ops, surrogate

    imported = time.perf_counter() - start
    del sj_neurons
    torch.set_num_threads(1)

    def step(x, v, threshold):  # pyright: ignore
        h = v + (x - v) * (0.5 + literal)
        spike = ops.fire(h - threshold, surrogate.ATan())
        return spike, (1.0 - spike) * h, 0.9 * threshold + 0.1 + 0.1 * spike

    cls = neuron.from_step(step, states={"v": 0.0, "threshold": 1.0})
    x = torch.rand(4, 64, requires_grad=True)
    times = [imported]
    for backend in ("torch", "cpp", "cpp"):
        if backend == "cpp":
            start = time.perf_counter()
            importlib.import_module("sj_neurons.kernels.run")
            times.append(time.perf_counter() - start)
        start = time.perf_counter()
        cls(step_mode="m", backend=backend)(x).sum().backward()
        times.append(time.perf_counter() - start)
    names = ("import", "torch", "backend", "use", "nothing", "again")
    return {name: value * 1e3 for name, value in zip(names, times, strict=True)}


if __name__ == "__main__":
    print(json.dumps(use(float(sys.argv[1])) if len(sys.argv) > 1 else measure()))
