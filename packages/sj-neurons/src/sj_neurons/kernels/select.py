"""Which backend runs a call, and with which program: what the neuron asks for, or the fastest."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, NamedTuple

import torch

from ..backend import AUTO
from .compile_cpp import CompilerError
from .plan import plan
from .symbols import TraceError, is_plain
from .trace import Recipe, Trace, state_names, trace

if TYPE_CHECKING:
    from ..neuron.base import BaseNode

__all__ = ["Call", "call_of", "kept_trace", "require", "trace_for", "watched_values", "why_not"]

_DTYPES = {
    "cpp": (torch.float32, torch.float64, torch.bfloat16),
    "cupy": (torch.float32, torch.float64, torch.bfloat16, torch.float16),
}
_DEVICES = {"cpp": ("cpu", "meta"), "cupy": ("cuda", "meta")}
_FUSED_ON = {"cpu": "cpp", "cuda": "cupy"}

_failures: set[str] = set()  # why kernels could not be compiled: told once each


class Call(NamedTuple):
    """All that a fused call needs of the neuron beside its tensors."""

    backend: str
    program: str
    numbers: tuple[float, ...]
    has_gradient: bool
    states: tuple[str, ...]
    recipe: Recipe  # what torch evaluates before the kernel
    parameters: tuple[int, ...]  # places of the program's parameters in it


def why_not(backend: str) -> str | None:
    """Why `backend` cannot run on this machine, or None."""
    if backend == "cupy":
        from . import cuda

        return cuda.why_unavailable()
    if backend == "cpp":
        from . import cpp

        return cpp.why_unavailable()
    return None


def require(backend: str) -> None:
    """Check that the library behind `backend` is there.

    Raises:
        ImportError: it is not, or has no device to run on.
    """
    # without a compiler 'cpp' still runs what is shipped, and warns about the rest
    reason = why_not(backend) if backend == "cupy" else None
    if reason is not None:
        raise ImportError(f"backend {backend!r} cannot run here: {reason}")


def call_of(node: BaseNode, device: str, dtype: torch.dtype) -> Call | None:
    """How `node` runs on inputs of this kind; None if it is torch that runs it.

    Args:
        node: the neuron; what it asks for is in `node.backend`.
        device: type of the device, such as `'cpu'`.
        dtype: of the input.

    Raises:
        NotImplementedError: the backend asked for cannot run it on this device or dtype.
        ImportError: the library behind the backend is missing.
    """
    asked = node.backend
    kept: dict[Any, tuple[Trace, Call | None]] = node.__dict__.setdefault("_calls", {})
    found = kept.get((asked, device, dtype))
    if found is not None and found[0].still_holds():
        return found[1]
    backend = _FUSED_ON.get(device, "") if asked == AUTO else asked
    try:
        _check(node, backend, device, dtype)
        made = trace_for(node, backend)
    except (NotImplementedError, ImportError):
        if asked == AUTO:
            return None
        raise
    call = _call(node, backend, made)
    if backend == "cpp" and device == "cpu" and not _compiled(call.program, dtype):
        call = None
    kept[asked, device, dtype] = (made, call)
    return call


def kept_trace(node: BaseNode) -> Trace:
    """The trace of the step of `node`, made anew only where it does not hold any more.

    Raises:
        TraceError: the step cannot be fused; says why.
    """
    kept: dict[Any, tuple[Trace, Call | None]] = node.__dict__.setdefault("_calls", {})
    found = kept.get("trace")
    if found is None or not found[0].still_holds():
        found = kept["trace"] = (trace(node), None)
    return found[0]


def trace_for(node: BaseNode, backend: str) -> Trace:
    """The program of the step of `node`.

    Raises:
        TraceError: the step cannot be fused; names the backend, the class and why.
    """
    try:
        return trace(node)
    except TraceError as error:
        raise TraceError(f"backend {backend!r}: {error}") from error


def _check(node: BaseNode, backend: str, device: str, dtype: torch.dtype) -> None:
    owner = type(node).__name__
    if device not in _DEVICES.get(backend, ()):
        fitting = "CUDA" if backend == "cupy" else "CPU"
        raise NotImplementedError(
            f"{owner}: backend {backend!r} runs on {fitting} tensors, got one on {device!r}; "
            "move it, or set backend 'auto' or 'torch'"
        )
    if dtype not in _DTYPES[backend]:
        raise NotImplementedError(
            f"{owner}: backend {backend!r} does not run {dtype}; set backend 'torch'"
        )
    if device != "meta":
        require(backend)


def _call(node: BaseNode, backend: str, made: Trace) -> Call:
    return Call(
        backend,
        made.program.text,
        made.numbers,
        plan(made.program.text).has_gradient,
        state_names(node),
        made.recipe(),
        made.constant,
    )


def _compiled(program: str, dtype: torch.dtype) -> bool:
    """Whether the C++ kernels are there, compiled now if need be; a failure is told once."""
    from . import cpp

    try:
        cpp.prepare([(program, cpp.DTYPES[dtype])])
    except CompilerError as error:
        reason = str(error)
        if reason not in _failures:
            _failures.add(reason)
            warnings.warn(
                f"backend 'cpp' runs on 'torch' where its kernels cannot be compiled: {reason}",
                stacklevel=2,
            )
        return False
    return True


def watched_values(node: BaseNode) -> tuple[tuple[str, Any], ...]:
    """The plain values that the step of `node` reads, by dotted names from the neuron on."""
    paths = {module: f"{path}." if path else "" for path, module in node.named_modules()}
    found = ((paths.get(owner), name, getattr(owner, name)) for owner, name, _ in trace(node).reads)
    return tuple(
        (f"{path}{name}", value)
        for path, name, value in found
        if path is not None and is_plain(value)
    )
