"""GPU times of one multi-step LIF layer: ours, torch's, a plain kernel, and the floor.

Every call is captured in a CUDA graph, so that kernels alone are timed and not the Python that
starts them; before each replay a buffer larger than the second-level cache is written. The floor is
the time in which a copy moves as many bytes. Bytes are counted from the tensors that a launch reads
and writes.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from sj_neurons import neuron, surrogate
from sj_neurons.kernels import compile_cuda, cuda
from sj_neurons.kernels.emit_cuda import segment_length
from sj_neurons.kernels.plan import plan

__all__ = ["all_benchmarks", "bytes_of"]

SIZES = [(4, 1 << 20), (16, 1 << 20), (128, 1 << 16), (500, 8192), (4, 1 << 22)]
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
REPEATS = 15
FLUSH_BYTES = 256 << 20


class Timer:
    """Median time of a captured call, in microseconds."""

    def __init__(self) -> None:
        self.buffer = torch.empty(FLUSH_BYTES, dtype=torch.uint8, device="cuda")

    def __call__(self, call: Callable[[], Any], repeats: int = REPEATS) -> float:
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(2):
                call()
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            kept = call()
        times = []
        for _ in range(repeats):
            self.buffer.fill_(1)
            start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            start.record()
            graph.replay()
            end.record()
            end.synchronize()
            times.append(1e3 * start.elapsed_time(end))
        del kept
        return statistics.median(times)


def eager_time(call: Callable[[], Any]) -> float:
    """Median time of a call as users make it, Python included, in microseconds."""
    times = []
    for i in range(13):
        torch.cuda.synchronize()
        start = time.perf_counter()
        call()
        torch.cuda.synchronize()
        if i > 2:
            times.append(1e6 * (time.perf_counter() - start))
    return statistics.median(times)


# bytes


def bytes_of(launch: cuda.Launch) -> int:
    """Bytes that a launch reads and writes in the memory of the GPU."""
    made = plan(launch.program)
    names = cuda._argument_names(launch.program, launch.dtype, launch.form)
    given = dict(zip(names, launch.arguments, strict=True))
    T, N = int(given["T"]), int(given["N"])
    io = {"float64": 8, "float32": 4}.get(launch.dtype, 2)
    real = 8 if launch.dtype == "float64" else 4
    frame, state = N * io, N * real
    x = frame * (T if given["x_stride"] else 1)
    total = sum(state for name in names if name.startswith(("first", "last", "g_")) and given[name]
                and not name.startswith("g_values"))  # fmt: skip
    if launch.form.direction == "forward":
        return total + x + frame * T + (frame * T if given["v_seq"] else 0)
    total += x if made.kept or made.reads_input_again else 0
    for name in ("gs", "gv", "gx"):
        total += frame * (T if given[f"{name}_stride"] else 1) if given[name] else 0
    segments = -(-T // segment_length(made))
    if not launch.form.steps and made.kept and segments > 1:
        last = T - (segments - 1) * segment_length(made)
        again = frame * (T - last) if given["x_stride"] else 0
        total += again + 2 * (segments - 1) * made.program.states * state
    return total


class Launches:
    """Collects the launches made while it is active."""

    def __enter__(self) -> list[cuda.Launch]:
        self.found: list[cuda.Launch] = []
        self.run = cuda._run

        def noting(launch: cuda.Launch, device: torch.device) -> None:
            self.found.append(launch)
            self.run(launch, device)

        cuda._run = noting
        return self.found

    def __exit__(self, *details: object) -> None:
        cuda._run = self.run


def copy_bandwidth(timer: Timer) -> float:
    """Bytes read and written per second by a copy of 1 GiB."""
    a = torch.empty(1 << 30, dtype=torch.uint8, device="cuda")
    b = torch.empty_like(a)
    return 2 * a.numel() / (1e-6 * timer(lambda: b.copy_(a)))


# what is timed


def layer(backend: str, tau: float = 2.0) -> Any:
    node = neuron.LIFNode(
        tau, surrogate_function=surrogate.ATan(), detach_reset=True, step_mode="m"
    ).cuda()
    node.backend = backend
    return node


class Calls(NamedTuple):
    forward: Callable[[], Any]
    both: Callable[[], Any]


def calls_of(backend: str, x: Tensor, g: Tensor) -> Calls:
    """Inference, and forward with backward, of a layer at rest."""
    node = layer(backend)
    leaf = x.detach().requires_grad_()

    def forward() -> Tensor:
        node.reset()
        with torch.no_grad():
            return node(x)

    def both() -> Any:
        node.reset()
        return torch.autograd.grad(node(leaf), leaf, g)

    return Calls(forward, both)


PLAIN = r"""
extern "C" __global__ void plain_forward(long long T, long long N, float* x, float* s, float* h,
                                         float* v_seq) {
    const long long n = blockIdx.x * (long long)blockDim.x + threadIdx.x;
    if (n >= N) return;
    float v = 0;
    for (long long t = 0; t < T; ++t) {
        const long long i = t * N + n;
        h[i] = v + (x[i] - v) * 0.5f;
        s[i] = h[i] >= 1.f ? 1.f : 0.f;
        v_seq[i] = (1.f - s[i]) * h[i];
        v = v_seq[i];
    }
}
extern "C" __global__ void plain_backward(long long T, long long N, float* gs, float* h,
                                          float* gx) {
    const long long n = blockIdx.x * (long long)blockDim.x + threadIdx.x;
    if (n >= N) return;
    float g = 0;
    for (long long t = T - 1; t >= 0; --t) {
        const long long i = t * N + n;
        const float u = h[i] - 1.f, a = 3.14159265f * u;
        const float gh = gs[i] * (1.f / (1.f + a * a)) + g * (u >= 0.f ? 0.f : 1.f);
        gx[i] = gh * 0.5f;
        g = gh * 0.5f;
    }
}
"""


def plain_calls(x: Tensor, g: Tensor) -> Calls:
    """The same layer as one thread per neuron does it that reads what it needs when it needs it."""
    T, N = x.shape
    device = torch.cuda.current_device()
    s, h, v, gx = (torch.empty_like(x) for _ in range(4))
    kernels = [compile_cuda.function(device, PLAIN, f"plain_{d}") for d in ("forward", "backward")]

    def launch(kernel: Any, *tensors: Tensor) -> None:
        stream = compile_cuda.stream(torch.cuda.current_stream().cuda_stream)
        addresses = [tensor.data_ptr() for tensor in tensors]
        kernel((-(-N // 512),), (512,), (T, N, *addresses), stream=stream)

    def forward() -> Tensor:
        launch(kernels[0], x, s, h, v)
        return s

    def both() -> Tensor:
        forward()
        launch(kernels[1], g, h, gx)
        return gx

    return Calls(forward, both)


def measured(T: int, N: int, dtype: str, timer: Timer, bandwidth: float) -> dict[str, Any]:
    """All numbers of one size."""
    x = (torch.rand(T, N, device="cuda") * 2.2).to(DTYPES[dtype])
    g = torch.rand(T, N, device="cuda").to(DTYPES[dtype])
    result: dict[str, Any] = {"T": T, "N": N, "dtype": dtype}
    ours = calls_of("cupy", x, g)
    for name in ("forward", "both"):
        call = getattr(ours, name)
        with Launches() as found:
            call()
        counted = sum(map(bytes_of, found))
        floor = 1e6 * counted / bandwidth
        spent = timer(call)
        result[name] = {
            "bytes_per_neuron_step": round(counted / (T * N), 3),
            "floor_us": round(floor, 2),
            "cupy_us": round(spent, 2),
            "over_floor": round(spent / floor, 3),
            "cupy_eager_us": round(eager_time(call), 1),
            "forms": [launch.form.suffix for launch in found],
        }
    theirs = calls_of("torch", x, g)
    for name in ("forward", "both"):
        spent = timer(getattr(theirs, name), repeats=5)
        result[name]["torch_us"] = round(spent, 2)
        result[name]["over_torch"] = round(spent / result[name]["cupy_us"], 2)
    if dtype == "float32" and T >= 100:
        plain = plain_calls(x, g)
        same = torch.equal(plain.forward(), ours.forward())
        for name in ("forward", "both"):
            spent = timer(getattr(plain, name))
            result[name]["plain_kernel_us"] = round(spent, 2)
            result[name]["over_plain_kernel"] = round(spent / result[name]["cupy_us"], 2)
        result["plain_kernel_agrees"] = same
    return result


def all_benchmarks(deadline: float) -> dict[str, Any]:
    """Every size and dtype for which there is time before `deadline`, on the monotonic clock."""
    timer = Timer()
    bandwidth = copy_bandwidth(timer)
    print(f"copy: {bandwidth / 1e9:.0f} GB/s read and written")
    rows: list[dict[str, Any]] = []
    left_out: list[str] = []
    for T, N in SIZES:
        for dtype in DTYPES:
            if time.monotonic() > deadline - 20:
                left_out.append(f"[{T}, {N}] {dtype}")
                continue
            try:
                rows.append(measured(T, N, dtype, timer, bandwidth))
            except RuntimeError as error:  # the other sizes may still do
                left_out.append(f"[{T}, {N}] {dtype}: {error}")
                continue
            both, forward = rows[-1]["both"], rows[-1]["forward"]
            print(
                f"[{T}, {N}] {dtype}: forward {forward['cupy_us']} us "
                f"({forward['over_floor']} x floor, torch {forward['over_torch']} x), with "
                f"backward {both['cupy_us']} us ({both['over_floor']} x floor, torch "
                f"{both['over_torch']} x), {both['bytes_per_neuron_step']} B per neuron-step"
            )
    return {
        "layer": "LIF, tau 2, ATan, hard reset, detached; times without Python, cold cache",
        "copy_bytes_per_second": round(bandwidth),
        "rows": rows,
        "left_out": left_out,
    }
