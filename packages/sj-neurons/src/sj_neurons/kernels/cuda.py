"""Runs the CUDA kernels of a program on tensors that lie flat in memory.

All tensors are on one GPU; [T, N] stands for T rows of N neurons, dense within a row. Kernels are
put on torch's current stream; nothing is copied from or to the host and nothing is waited for, so
that calls can be captured in a CUDA graph once each has run.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from .compile_cuda import function, stream, why_unavailable
from .emit_cuda import (
    BLOCK,
    Form,
    cuda_source,
    kernel_arguments,
    kernel_name,
    prelude,
    segment_length,
)
from .plan import Plan, plan

__all__ = ["DTYPES", "backward", "backward_form", "forward", "parts_of", "why_unavailable"]

DTYPES = {
    torch.float32: "float32", torch.float64: "float64",
    torch.float16: "float16", torch.bfloat16: "bfloat16",
}  # fmt: skip

_WIDE = 1 << 20  # neurons from which on several per thread still fill a GPU
_MANY_BLOCKS = 256  # about two for each multiprocessor of a large GPU
_SMALLEST_BLOCK = 32
_MOST_STEPS = 32  # in registers
_TILE = 64  # numbers that a thread keeps of all steps, in registers
_NUMBERS = 64  # all that a thread of several neurons holds,
_NUMBERS_NARROW = 80  # where one of fewer neurons would read less than 32 bits at a time

Parameter = tuple[Tensor, int, int]  # values, inner, size
Values = dict[str, Any]  # arguments of a kernel by name


@dataclass(frozen=True)
class Launch:
    """A kernel of a program, and all it is called with."""

    program: str
    dtype: str
    form: Form
    grid: int
    block: int
    arguments: tuple[int | np.floating[Any], ...]


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
    """Run the step T times; fills `spikes`, `v_seq` and `last`.

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
        last: outputs `[N]`, states after the last step, or None.
    """
    values = _common(x, T, spikes.shape[1], states, parameters, numbers, rest)
    values |= {"spikes": spikes.data_ptr(), "v_seq": _address(v_seq)}
    values |= {f"last{i}": _address(tensor) for i, tensor in enumerate(last)}
    form = Form("forward", _widest((x, spikes, v_seq), spikes.shape[1], parameters))
    _launch(program, x, form, values)


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

    Under `torch.use_deterministic_algorithms(True)` gradients of parameters are summed in a fixed
    order, at the cost of one number per neuron.

    Args:
        program, x, T, states, parameters, numbers, rest: as in :func:`forward`.
        grad_spikes, grad_v_seq: gradients `[T, N]` of the outputs; None is 0.
        grad_last: gradients `[N]` of the last states; None is 0.
        grad_x: output `[T, N]`; with a time stride of 0 it receives the sum over time.
        grad_first: outputs `[N]` for the initial states, or None.
        grad_parameters: outputs `[parts, size]` in float64 whose sum is the gradient, or None.
    """
    made, N = plan(program), x.shape[1]
    values = _common(x, T, N, states, parameters, numbers, rest)
    values |= {
        "gs": _address(grad_spikes), "gs_stride": _time_stride(grad_spikes),
        "gv": _address(grad_v_seq), "gv_stride": _time_stride(grad_v_seq),
        "gx": _address(grad_x), "gx_stride": _time_stride(grad_x),
    }  # fmt: skip
    for i, (final, first) in enumerate(zip(grad_last, grad_first, strict=True)):
        values |= {f"g_last{i}": _address(final), f"g_first{i}": _address(first)}
    widest = _widest((x, grad_spikes, grad_v_seq, grad_x), N, parameters)
    form = backward_form(made, T, x.element_size(), widest)
    of_states = torch.float64 if x.dtype == torch.float64 else torch.float32
    ordered = torch.are_deterministic_algorithms_enabled()
    shares: list[Tensor | None] = []
    for i, gradient in enumerate(grad_parameters):
        aside = ordered and gradient is not None and gradient.shape[1] != N
        shares.append(x.new_empty(N, dtype=of_states) if aside else None)
        values |= {
            f"g_values{i}": _address(gradient), f"g_each{i}": _address(shares[i]),
            f"rows{i}": 1 if gradient is None else gradient.shape[0],
        }  # fmt: skip
    checkpoints = None
    if not form.steps and made.kept:
        segments = -(-T // segment_length(made))
        numbers_kept = (segments - 1) * made.program.states * N
        checkpoints = x.new_empty(numbers_kept, dtype=of_states)
    values["checkpoints"] = _address(checkpoints)
    _launch(program, x, form, values)
    for gradient, share, (_, inner, size) in zip(grad_parameters, shares, parameters, strict=True):
        if gradient is not None and share is not None:
            gradient[0] += _summed(share, inner, size)


def parts_of(N: int) -> int:
    """Rows over which the sums of a parameter's gradient are spread, so that few threads meet."""
    return max(1, min(32, N >> 14))


def backward_form(made: Plan, T: int, itemsize: int, widest: int) -> Form:
    """The kernel that suits T steps, with at most `widest` neurons per thread."""
    tile = max(1, len(made.kept) + made.reads_input_again) * T
    if T > _MOST_STEPS or tile > _TILE:
        return Form("backward")
    # beside the tile: states, parameters, the gradients of both, and that of the input
    numbers = tile + 2 * (made.program.states + made.program.parameters) + 1
    width = widest
    while width > 1 and numbers * width > (_NUMBERS_NARROW if width * itemsize <= 4 else _NUMBERS):
        width //= 2
    return Form("backward", width, T)


def _common(
    x: Tensor,
    T: int,
    N: int,
    states: Sequence[Tensor | None],
    parameters: Sequence[Parameter],
    numbers: Sequence[float],
    rest: Sequence[float],
) -> Values:
    """The arguments that both directions have, by name."""
    if x.dtype not in DTYPES:
        raise TypeError(f"backend='cupy' computes in {', '.join(DTYPES.values())}, got {x.dtype}")
    values: Values = {
        "T": T, "N": N, "x": x.data_ptr(), "x_stride": _time_stride(x),
    }  # fmt: skip
    values |= {f"first{i}": _address(tensor) for i, tensor in enumerate(states)}
    values |= _scalars(tuple(numbers), tuple(rest), x.dtype == torch.float64)
    for i, (tensor, inner, size) in enumerate(parameters):
        values |= {f"values{i}": tensor.data_ptr(), f"inner{i}": inner, f"size{i}": size}
    return values


@lru_cache(maxsize=4096)
def _scalars(numbers: tuple[float, ...], rest: tuple[float, ...], double: bool) -> Values:
    """What is the same for all neurons, in the type that is computed in."""
    real = np.float64 if double else np.float32
    with np.errstate(all="ignore"):
        values = {f"rest{i}": real(value) for i, value in enumerate(rest)}
        for i, value in enumerate(numbers):
            values |= {f"k{i}": real(value), f"r{i}": real(1) / real(value)}
    return values


def _address(tensor: Tensor | None) -> int:
    return 0 if tensor is None else tensor.data_ptr()


def _time_stride(tensor: Tensor | None) -> int:
    return 0 if tensor is None or tensor.shape[0] == 1 else tensor.stride(0)


def _widest(sequences: Sequence[Tensor | None], N: int, parameters: Sequence[Parameter]) -> int:
    """How many neighbouring neurons a thread can take by accesses of 128 bits; 1 if none."""
    present = [tensor for tensor in sequences if tensor is not None]
    width = 16 // present[0].element_size()
    aligned = all(t.data_ptr() % 16 == 0 and t.stride(0) % width == 0 for t in present)
    # the neurons of a thread must share each parameter, or have one each
    shared = all(size in (1, N) or inner % width == 0 for _, inner, size in parameters)
    return width if N >= _WIDE and N % width == 0 and aligned and shared else 1


def _launch(program: str, x: Tensor, form: Form, values: Values) -> None:
    threads = -(-int(values["N"]) // form.width)
    if threads == 0:
        return
    block = BLOCK
    while block > _SMALLEST_BLOCK and threads < block * _MANY_BLOCKS:
        block //= 2
    dtype = DTYPES[x.dtype]
    names = _argument_names(program, dtype, form)
    arguments = tuple(values[name] for name in names)
    _run(Launch(program, dtype, form, -(-threads // block), block, arguments), x.device)


def _run(launch: Launch, device: torch.device) -> None:
    index = torch.cuda.current_device() if device.index is None else device.index
    source, name = _source(launch.program, launch.dtype, launch.form)
    with torch.cuda.device(index):
        kernel = function(index, source, name)
        current = stream(torch.cuda.current_stream(index).cuda_stream)
        kernel((launch.grid,), (launch.block,), launch.arguments, stream=current)


@lru_cache(maxsize=4096)
def _argument_names(program: str, dtype: str, form: Form) -> tuple[str, ...]:
    return tuple(name for _, name in kernel_arguments(plan(program), dtype, form))


@lru_cache(maxsize=4096)
def _source(program: str, dtype: str, form: Form) -> tuple[str, str]:
    """Text of a kernel, and its name."""
    name = "sj_" + hashlib.sha256(f"{dtype}\n{program}".encode()).hexdigest()[:24]
    text = cuda_source(plan(program), dtype, name, [form])
    return f"{prelude()}\n{text}", kernel_name(name, form)


def _summed(share: Tensor, inner: int, size: int) -> Tensor:
    """The sum of each parameter's shares, `[size]` in float64."""
    if size == 1:
        return share.sum(dtype=torch.float64).reshape(1)
    period = inner * size
    whole = functional.pad(share, (0, -share.shape[0] % period))
    return whole.reshape(-1, size, inner).sum((0, 2), dtype=torch.float64)
