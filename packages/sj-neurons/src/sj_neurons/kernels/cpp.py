"""Runs the C++ kernels of a program on tensors that lie flat in memory.

All tensors are on the CPU; [T, N] stands for T rows of N neurons, dense within a row.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from .compile_cpp import CompilerError, find_compiler, load
from .emit_cpp import backward_call, cpp_source, forward_call, prelude
from .plan import plan
from .shipped import kernel_name, shipped_library

__all__ = [
    "DTYPES",
    "Arguments",
    "CompilerError",
    "backward",
    "forward",
    "forward_arguments",
    "parts_of",
    "prepare",
]

DTYPES = {torch.float32: "float32", torch.float64: "float64", torch.bfloat16: "bfloat16"}

# Neuron-steps per thread that are worth a thread, and bytes of output past which writing around
# the caches is faster (a third-level cache holds less, and what reads the output next misses it).
_WORTH_A_THREAD = 1 << 15
_STREAM_BYTES = 16 << 20

Parameter = tuple[Tensor, int, int]  # values, inner, size


@dataclass(frozen=True)
class _Kernel:
    """Both directions of a program, and the names of the integers they take."""

    forward: Any
    backward: Any
    forward_call: tuple[str, ...]
    backward_call: tuple[str, ...]


_kernels: dict[tuple[str, str], _Kernel] = {}


def prepare(wanted: Iterable[tuple[str, str]]) -> None:
    """Make the kernels of several pairs (program, dtype) at once, if they are not there yet.

    Raises:
        CompilerError: see :func:`sj_neurons.kernels.compile_cpp.load`.
    """
    missing = [pair for pair in dict.fromkeys(wanted) if pair not in _kernels]
    unshipped = []
    for pair in missing:
        library = shipped_library()
        if library is None or not _take(library, *pair):
            unshipped.append(pair)
    if not unshipped:
        return
    texts = [
        cpp_source(plan(program), dtype, kernel_name(program, dtype))
        for program, dtype in unshipped
    ]
    library = load("\n".join((prelude(), *texts)))
    for pair in unshipped:
        if not _take(library, *pair):
            raise CompilerError(f"the compiled library lacks {kernel_name(*pair)}")


def _take(library: ctypes.CDLL, program: str, dtype: str) -> bool:
    name = kernel_name(program, dtype)
    forward = getattr(library, f"{name}_forward", None)
    if forward is None:
        return False
    backward = getattr(library, f"{name}_backward", None)
    for function in (forward, backward):
        if function is not None:
            function.restype = None
    made = plan(program)
    _kernels[program, dtype] = _Kernel(
        forward, backward, tuple(forward_call(made)), tuple(backward_call(made))
    )
    return True


def _kernel(program: str, dtype: torch.dtype) -> _Kernel:
    pair = (program, DTYPES[dtype])
    kernel = _kernels.get(pair)
    if kernel is None:
        prepare([pair])
        kernel = _kernels[pair]
    return kernel


def _address(tensor: Tensor | None) -> int:
    return 0 if tensor is None else tensor.data_ptr()


def _threads(T: int, N: int) -> int:
    return max(1, min(torch.get_num_threads(), T * N // _WORTH_A_THREAD))


def _streams(written: Tensor | None) -> bool:
    return written is not None and written.numel() * written.element_size() >= _STREAM_BYTES


class Arguments(NamedTuple):
    """A kernel and what it is called with: `function(integers, numbers)`."""

    function: Any
    integers: Any
    numbers: Any
    names: tuple[str, ...]  # of the integers


def _arguments(
    function: Any, names: tuple[str, ...], values: dict[str, int], numbers: Sequence[float]
) -> Arguments:
    integers = (ctypes.c_int64 * len(names))(*[values[name] for name in names])
    return Arguments(function, integers, (ctypes.c_double * len(numbers))(*numbers), names)


def forward(
    program: str,
    x: Tensor,
    T: int,
    states: Sequence[Tensor | None],
    parameters: Sequence[Parameter],
    numbers: Sequence[float],
    rest: Sequence[float],
    spikes: Tensor,
    v_seq: Tensor | None,
    last: Sequence[Tensor | None],
) -> None:
    """Run the step T times; fills `spikes`, `v_seq` and `last`: see :func:`forward_arguments`."""
    made = forward_arguments(program, x, T, states, parameters, numbers, rest, spikes, v_seq, last)
    made.function(made.integers, made.numbers)


def forward_arguments(
    program: str,
    x: Tensor,
    T: int,
    states: Sequence[Tensor | None],
    parameters: Sequence[Parameter],
    numbers: Sequence[float],
    rest: Sequence[float],
    spikes: Tensor,
    v_seq: Tensor | None,
    last: Sequence[Tensor | None],
) -> Arguments:
    """What runs the step T times and fills `spikes`, `v_seq` and `last`.

    Args:
        program: text of the program.
        x: input `[T, N]`; a time stride of 0 repeats one frame.
        T: number of steps.
        states: initial states `[N]`, or None to start all neurons at `rest`.
        parameters: values, inner, size; neuron n takes `values[(n // inner) % size]`.
        numbers: values of `k0 ...`.
        rest: initial states where `states` is None.
        spikes: output `[T, N]`.
        v_seq: output `[T, N]`, first state after each step, or None.
        last: output `[N]`, states after the last step.
    """
    N = spikes.shape[1]
    kernel = _kernel(program, x.dtype)
    values = {
        "T": T, "N": N, "threads": _threads(T, N), "stream": int(_streams(spikes)),
        "x_data": x.data_ptr(), "x_stride": x.stride(0), "spikes": spikes.data_ptr(),
        "v_seq": _address(v_seq),
    }  # fmt: skip
    for i, (first, final) in enumerate(zip(states, last, strict=True)):
        values[f"v_first{i}"], values[f"v_last{i}"] = _address(first), _address(final)
    _add_parameters(values, parameters)
    return _arguments(kernel.forward, kernel.forward_call, values, (*numbers, *rest))


def parts_of(N: int) -> int:
    """In how many sums of its own the gradient of a parameter is taken, whatever the threads."""
    return max(1, min(64, N // 4096))


def backward(
    program: str,
    x: Tensor,
    T: int,
    states: Sequence[Tensor | None],
    parameters: Sequence[Parameter],
    numbers: Sequence[float],
    rest: Sequence[float],
    grad_spikes: Tensor | None,
    grad_v_seq: Tensor | None,
    grad_last: Sequence[Tensor | None],
    grad_x: Tensor | None,
    grad_first: Sequence[Tensor | None],
    grad_parameters: Sequence[Tensor | None],
) -> None:
    """Run the step and its adjoint; fills `grad_x`, `grad_first`, and adds to `grad_parameters`.

    Args:
        program, x, T, states, parameters, numbers, rest: as in :func:`forward`.
        grad_spikes, grad_v_seq: gradients `[T, N]` of the outputs; None is 0.
        grad_last: gradients `[N]` of the last states; None is 0.
        grad_x: output `[T, N]`; with a time stride of 0 it receives the sum over time.
        grad_first: outputs `[N]` for the initial states, or None.
        grad_parameters: outputs `[parts, size]` in float64 whose sum is the gradient, or None.
    """
    N = x.shape[1]
    kernel = _kernel(program, x.dtype)
    values = {
        "T": T, "N": N, "threads": _threads(T, N), "stream": int(_streams(grad_x)),
        "parts": parts_of(N), "x_data": x.data_ptr(), "x_stride": x.stride(0),
        "gs_data": _address(grad_spikes), "gs_stride": _time_stride(grad_spikes),
        "gv_seq": _address(grad_v_seq), "gv_stride": _time_stride(grad_v_seq),
        "gx_data": _address(grad_x), "gx_stride": _time_stride(grad_x),
    }  # fmt: skip
    for i, (first, last, begin) in enumerate(zip(states, grad_last, grad_first, strict=True)):
        values[f"v_first{i}"], values[f"gv_last{i}"] = _address(first), _address(last)
        values[f"gv_first{i}"] = _address(begin)
    _add_parameters(values, parameters)
    for i, gradient in enumerate(grad_parameters):
        values[f"gp_data{i}"] = _address(gradient)
        apart = gradient is not None and gradient.shape[0] > 1  # the parts have rows of their own
        values[f"gp_stride{i}"] = _time_stride(gradient) if apart else 0
    made = _arguments(kernel.backward, kernel.backward_call, values, (*numbers, *rest))
    made.function(made.integers, made.numbers)


def _time_stride(tensor: Tensor | None) -> int:
    return 0 if tensor is None else tensor.stride(0)


def _add_parameters(values: dict[str, int], parameters: Sequence[Parameter]) -> None:
    for i, (tensor, inner, size) in enumerate(parameters):
        values[f"p_data{i}"] = tensor.data_ptr()
        values[f"p_inner{i}"], values[f"p_size{i}"] = inner, size


def why_unavailable() -> str | None:
    """Why this backend cannot compile what it does not bring, or None."""
    try:
        find_compiler()
    except CompilerError as error:
        few = "" if shipped_library() is None else "; only the kernels that are shipped run"
        return f"{error}{few}"
    return None
