"""Which backend runs a call: what the neuron asks for, or the fastest that can."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from .compile_cpp import CompilerError
from .symbols import TraceError
from .trace import Trace, trace

if TYPE_CHECKING:
    from ..neuron.base import BaseNode

__all__ = ["chosen_backend", "require", "trace_of", "why_not"]

_PLACES = {"cpp": "CPU", "cupy": "CUDA"}
_DTYPES = {
    "cpp": (torch.float32, torch.float64, torch.bfloat16),
    "cupy": (torch.float32, torch.float64, torch.bfloat16, torch.float16),
}
_failed: set[str] = set()  # why kernels could not be compiled: told once each


def why_not(backend: str) -> str | None:
    """Why `backend` cannot run on this machine, or None."""
    if backend == "cupy":
        from . import cuda

        return cuda.why_unavailable()
    if backend == "cpp":
        from .cpp import why_unavailable

        return why_unavailable()
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


def trace_of(node: BaseNode) -> Trace:
    """The trace of `node`, made anew if anything that its step reads has changed.

    Raises:
        TraceError: the step cannot be fused.
    """
    kept = node.__dict__.get("_trace")
    if kept is None or not kept.still_holds():
        kept = node.__dict__["_trace"] = trace(node)
    return kept


def chosen_backend(node: BaseNode, x: Tensor) -> str:
    """The backend that runs `node` on `x`.

    Raises:
        NotImplementedError: the node asks for one that cannot run it on this device or dtype.
        ImportError: the library behind it is missing.
    """
    asked = node.backend
    dtype = x.dtype if x.is_floating_point() else torch.get_default_dtype()
    if asked == "auto":
        backend = "cupy" if x.is_cuda else "cpp"
        fits = x.is_cuda or x.device.type == "cpu"
        if not fits or dtype not in _DTYPES[backend] or _untold(backend):
            return "torch"
        try:
            program = trace_of(node).program.text
        except TraceError:
            return "torch"
        return "torch" if backend == "cpp" and not _compiled(program, dtype) else backend
    owner = type(node).__name__
    place = "CUDA" if x.is_cuda else "CPU" if x.device.type in ("cpu", "meta") else x.device.type
    if place != _PLACES[asked] and x.device.type != "meta":
        raise NotImplementedError(
            f"{owner}: backend {asked!r} runs on {_PLACES[asked]} tensors, got one on {x.device}; "
            "move it, or set backend 'auto' or 'torch'"
        )
    if dtype not in _DTYPES[asked]:
        raise NotImplementedError(
            f"{owner}: backend {asked!r} does not run {dtype}; set backend 'torch'"
        )
    if asked == "cupy":
        require(asked)
        return asked
    return asked if _compiled(trace_of(node).program.text, dtype) else "torch"


def _untold(backend: str) -> bool:
    return why_not(backend) is not None


def _compiled(program: str, dtype: torch.dtype) -> bool:
    """Whether the C++ kernels are there, compiled now if need be; a failure is told once."""
    from . import cpp

    try:
        cpp.prepare([(program, cpp.DTYPES[dtype])])
    except CompilerError as error:
        reason = str(error)
        if reason not in _failed:
            _failed.add(reason)
            warnings.warn(
                f"backend 'cpp' runs on 'torch' where its kernels cannot be compiled: {reason}",
                stacklevel=2,
            )
        return False
    return True
