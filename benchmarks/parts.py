"""The measurements: each function returns rows for the JSON file.

Forward alone runs without a graph, from rest. Forward and backward starts at rest too, takes the
gradient of the spikes from a tensor made before, and leaves the gradient of the input.

Floor: what the memory needs. Forward reads x and writes the spikes, as one copy of x does; both
directions read x, write the spikes, read x again and the gradient of the spikes, and write the
gradient of x: five streams, 2.5 copies. The copy is timed among the contenders, warm.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from contenders import Case, Layer, all_neurons, from_rest, lif_layers, our_lif
from machine import environment
from memory import peak_bytes, saved_bytes
from timing import Timing, interleaved

__all__ = ["allocators", "dtypes", "lif", "memory", "neurons", "start", "threads"]

Row = dict[str, Any]
Sizes = list[tuple[int, int]]

COPIES = {"forward": 1.0, "both": 2.5}
FLOAT32 = torch.float32


def inputs(
    T: int, shape: tuple[int, ...], dtype: torch.dtype = FLOAT32, device: str = "cpu"
) -> tuple[Tensor, Tensor]:
    """An input `[T, *shape]` on which a LIF fires at about a quarter of all steps; a gradient."""
    generator = torch.Generator().manual_seed(0)
    x = 2.2 * torch.rand(T, *shape, generator=generator)
    grad = torch.randn(T, *shape, generator=generator)
    return x.to(device, dtype), grad.to(device, dtype)


def forward_of(layer: Layer, x: Tensor) -> Callable[[], object]:
    """A call of `layer` without a graph."""

    def call() -> None:
        with torch.no_grad():
            layer(x)

    return call


def both_of(layer: Layer, x: Tensor, grad: Tensor) -> Callable[[], object]:
    """A call of `layer` and of its backward pass."""
    leaf = x.clone().requires_grad_()

    def call() -> None:
        layer(leaf).backward(grad)
        leaf.grad = None

    return call


def copy_of(x: Tensor) -> Callable[[], object]:
    """A copy of `x` into memory that is there."""
    target = torch.empty_like(x)
    return lambda: target.copy_(x)


def finished() -> float:
    """The time at which the GPU has done all that it was given."""
    torch.cuda.synchronize()
    return time.perf_counter()


def compared(
    layers: Mapping[str, Layer], x: Tensor, grad: Tensor, seconds: float
) -> Iterator[tuple[str, dict[str, Timing], float]]:
    """Per direction: its name, times of all layers, and the floor in ms."""
    clock = finished if x.is_cuda else time.process_time
    for direction in ("forward", "both"):
        calls = {
            name: forward_of(layer, x) if direction == "forward" else both_of(layer, x, grad)
            for name, layer in layers.items()
        }
        times = interleaved({"copy": copy_of(x), **calls}, seconds, clock)
        yield direction, times, times.pop("copy").ms * COPIES[direction]


def lif(sizes: Sizes, seconds: float, device: str = "cpu") -> list[Row]:
    """Our backends and all peers at each size, float32."""
    layers = lif_layers(_backends(device), device)
    rows = []
    for T, N in sizes:
        x, grad = inputs(T, (N,), device=device)
        for direction, times, floor in compared(layers, x, grad, seconds):
            rows.append(_row(T, N, direction, floor, times))
    return rows


def _row(T: int, N: int, direction: str, floor: float, times: Mapping[str, Timing]) -> Row:
    return {
        "T": T, "N": N, "direction": direction, "floor_ms": float(f"{floor:.4g}"),
        "times": {name: timing.record() for name, timing in times.items()},
    }  # fmt: skip


def _backends(device: str) -> tuple[str, str]:
    return ("cupy" if device == "cuda" else "cpp", "torch")


def dtypes(sizes: Sizes, seconds: float, device: str = "cpu") -> list[Row]:
    """Our LIF on several types of input; each has the floor of its own copy."""
    rows = []
    for T, N in sizes:
        for dtype in (FLOAT32, torch.bfloat16, torch.float64):
            x, grad = inputs(T, (N,), dtype, device)
            layers = {name: from_rest(our_lif(name)) for name in _backends(device)}
            for direction, times, floor in compared(layers, x, grad, seconds):
                name = str(dtype).removeprefix("torch.")
                rows.append({"dtype": name, **_row(T, N, direction, floor, times)})
    return rows


def threads(sizes: Sizes, seconds: float, most: int) -> list[Row]:
    """Our LIF on 1 and on `most` threads; wall-clock time, as CPU time adds the threads up."""
    rows = []
    for T, N in sizes:
        x, grad = inputs(T, (N,))
        layer = from_rest(our_lif("cpp"))
        calls = {"forward": forward_of(layer, x), "both": both_of(layer, x, grad)}
        for count in sorted({1, most}):
            with _threads(count):
                times = interleaved(calls, seconds, time.perf_counter)
            records = {name: timing.record() for name, timing in times.items()}
            rows.append({"T": T, "N": N, "threads": count, "times": records})
    return rows


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def neurons(sizes: Sizes, seconds: float) -> list[Row]:
    """Every neuron with fused backends: cpp against torch."""
    rows = []
    for case in all_neurons():
        for T, N in sizes:
            rows += _neuron(case, T, N, seconds)
    return rows


def _neuron(case: Case, T: int, N: int, seconds: float) -> list[Row]:
    x, grad = inputs(T, case.shape(N))
    layers: dict[str, Layer] = {}
    for backend in ("cpp", "torch"):
        node = case.make(T)
        node.backend = backend
        layers[backend] = from_rest(node)
    calls = {"copy": copy_of(x)}
    # what counts spikes, such as STBIFNeuron, has no gradient
    directions = (
        COPIES if layers["torch"](x.clone().requires_grad_()).requires_grad else ("forward",)
    )
    for name, layer in layers.items():
        calls[f"{name} forward"] = forward_of(layer, x)
        if "both" in directions:
            calls[f"{name} both"] = both_of(layer, x, grad)
    times = interleaved(calls, seconds)
    copy = times["copy"].ms
    return [
        {"neuron": case.name}
        | _row(
            T,
            N,
            direction,
            copy * COPIES[direction],
            {name: times[f"{name} {direction}"] for name in layers},
        )
        for direction in directions
    ]


def memory(T: int, N: int) -> list[Row]:
    """Bytes per neuron-step of each LIF: saved for backward, and the peak beside x and grad."""
    x, grad = inputs(T, (N,))
    rows = []
    for name, layer in lif_layers().items():
        leaf = x.clone().requires_grad_()
        layer(leaf).backward(grad)  # whatever is made once is made now
        leaf.grad = None
        saved, outputs = saved_bytes(lambda layer=layer, leaf=leaf: [layer(leaf)], [leaf])
        del outputs
        peak = peak_bytes(both_of(layer, x, grad))
        count = T * N
        rows.append({"layer": name, "T": T, "N": N, "saved": saved / count, "peak": peak / count})
    return rows


# what needs processes of its own


def start(times: int) -> Row:
    """Milliseconds until a neuron of the user's own has run, and of imports; best of `times`.

    Each is taken in a fresh process: `compiled` with an empty cache folder, `cached` with the
    folder that this left behind; the import of the backend counts apart, as `backend`. torch has
    run the same neuron before, so that what torch makes once is not counted.
    """
    script = Path(__file__).with_name("first_use.py")
    measured: dict[str, list[float]] = {}
    for _ in range(times):
        for name, value in _output_of([sys.executable, str(script)]).items():
            measured.setdefault(name, []).append(value)
    return {name: round(min(values), 1) for name, values in measured.items()}


def allocators(sizes: Sizes, seconds: float) -> list[Row]:
    """The LIF of :func:`lif` under each setting of the allocator, each in a process of its own."""
    script = Path(__file__).with_name("bench_neuron.py")
    wanted = ",".join(f"{T}x{N}" for T, N in sizes)
    rows = []
    for name in ("kept", "hugepages", "default"):
        command = [sys.executable, str(script), "--parts", "lif", "--allocator", name]
        command += ["--sizes", wanted, "--seconds", str(seconds), "--json", "-"]
        rows += [{"allocator": name, **row} for row in _output_of(command, name)["lif"]]
    return rows


def _output_of(command: list[str], allocator: str = "kept") -> Any:
    done = subprocess.run(
        command, stdout=subprocess.PIPE, text=True, check=True, env=environment(allocator)
    )
    return json.loads(done.stdout)
