"""One call of a neuron on a fused backend.

neuron, input  ->  backend, program, numbers      select.py; traced once, compiled once
               ->  parameters and states          here, by torch
               ->  differentiable operator        autograd.py
               ->  kernels on flat memory         cpp.py, cuda.py
"""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from ..backend import AUTO
from .autograd import fused
from .layout import broadcasts, is_dense
from .select import Call, call_of
from .trace import evaluated

if TYPE_CHECKING:
    from ..neuron.base import BaseNode

__all__ = ["Started", "call_for", "run_sequence", "started"]


def call_for(node: BaseNode, x: Tensor) -> Call | None:
    """How `node` runs on inputs like `x`; None if it is torch that runs it.

    Raises:
        NotImplementedError: the backend of `node` cannot run it on this device or dtype, or under
            the transforms of `torch.func`.
        ImportError: the library behind it is missing.
    """
    is_counted = not (x.is_floating_point() or x.is_complex())
    dtype = torch.get_default_dtype() if is_counted else x.dtype
    if not torch.compiler.is_compiling():
        if torch._C._are_functorch_transforms_active():
            if node.backend == AUTO:
                return None
            raise NotImplementedError(
                f"{type(node).__name__}: backend {node.backend!r} does not run under torch.func "
                "(grad, vmap, jvp, ...); set backend 'auto' or 'torch'"
            )
        return call_of(node, x.device.type, dtype)
    # torch.compile takes the trace for a constant; looking at what it depends on is what makes
    # the compiled code hold for these values only
    for path, value in node._watched_values():
        if operator.attrgetter(path)(node) != value:
            raise RuntimeError(f"{type(node).__name__}.{path} changed while it was compiled")
    return node._constant_call(x.device.type, dtype)


class Started(NamedTuple):
    """The tensors of a call, ready for the differentiable operators of :mod:`.autograd`."""

    x_seq: Tensor  # [T, N, *], or one frame [1, N, *] that is seen `repeat` times
    repeat: int  # 0 if `x_seq` is the whole sequence
    states: list[Tensor | None]
    parameters: list[Tensor]
    rest: list[float]


def run_sequence(
    node: BaseNode, call: Call, x_seq: Tensor, store_v_seq: bool
) -> tuple[Tensor, Tensor | None, dict[str, Tensor]]:
    """All time steps of `x_seq` `[T, N, *]`: outputs, first state after each step, last states.

    The states of `node` are where it starts, and are not changed. Between calls states are kept
    in float32 where the input is in half precision.
    """
    x_seq, repeat, states, parameters, rest = started(node, call, x_seq)
    outputs, v_seq, last = fused(
        x_seq,
        repeat,
        states,
        parameters,
        call.program,
        call.numbers,
        rest,
        store_v_seq,
        call.backend,
    )
    return outputs, v_seq, dict(zip(call.states, last, strict=True))


def started(node: BaseNode, call: Call, x_seq: Tensor) -> Started:
    """Input, states and parameters of a call.

    Raises:
        ValueError: the state or a tensor of the neuron does not fit the input.
    """
    if x_seq.dim() < 2:
        node._fitting_state(0.0, x_seq.shape[1:], x_seq)  # raises
    if not x_seq.is_floating_point():
        x_seq = x_seq.to(torch.get_default_dtype())
    real = torch.float64 if x_seq.dtype == torch.float64 else torch.float32
    shape = x_seq.shape[1:]
    states: list[Tensor | None] = []
    rest: list[float] = []
    for name in call.states:
        value = node._memories[name]
        if isinstance(value, Tensor):
            states.append(_recordable(node._fitting_state(value, shape, x_seq, real)))
            rest.append(0.0)
        else:
            states.append(None)
            rest.append(float(value))
    parameters = _parameters(node, call, shape, real)
    if not call.has_gradient:
        x_seq = x_seq.detach()
        states = [None if state is None else state.detach() for state in states]
        parameters = [parameter.detach() for parameter in parameters]
    frame = _repeated_frame(x_seq)
    if frame is None:
        return Started(x_seq, 0, states, parameters, rest)
    return Started(frame, x_seq.shape[0], states, parameters, rest)


def _recordable(state: Tensor) -> Tensor:
    """`state`, or its copy if it was left by a call in inference mode and this one is in none."""
    if torch.compiler.is_compiling() or torch.is_inference_mode_enabled():
        return state
    return state.clone() if state.is_inference() else state


def _parameters(node: BaseNode, call: Call, shape: torch.Size, dtype: torch.dtype) -> list[Tensor]:
    """The program's parameters, each broadcasting to a step `[N, *]` of this shape.

    Raises:
        ValueError: a tensor of the neuron does not broadcast.
    """
    parameters = evaluated(call.recipe, call.parameters, node, len(shape), dtype)
    for parameter in parameters:
        if not broadcasts(parameter.shape, shape):
            raise ValueError(
                f"{type(node).__name__}: a tensor of shape {tuple(parameter.shape)} among its "
                f"attributes does not broadcast to a step {tuple(shape)} of the input"
            )
    return parameters


def _repeated_frame(x_seq: Tensor) -> Tensor | None:
    """The frame `[1, N, *]` that `x_seq` repeats by a time stride of 0, or None.

    It is taken from the tensor that was expanded, not from `x_seq`: its gradient then is the sum
    over time, which nobody needs to write out step by step.
    """
    if torch.compiler.is_compiling() or x_seq.shape[0] == 1 or x_seq.stride(0) != 0:
        return None
    source, frame = x_seq._base, x_seq.shape[1:]
    if source is None or source.numel() != frame.numel() or source.dtype != x_seq.dtype:
        return None
    if source.data_ptr() != x_seq.data_ptr() or not _is_expansion(x_seq, source):
        return None
    if not (is_dense(source.shape, source.stride()) and is_dense(frame, x_seq.stride()[1:])):
        return None
    return source.as_strided((1, *frame), (frame.numel(), *x_seq.stride()[1:]))


def _is_expansion(x_seq: Tensor, source: Tensor) -> bool:
    """Whether all of the gradient of `x_seq` goes to `source`, and nowhere else."""
    if not x_seq.requires_grad:
        return not source.requires_grad
    made_by = x_seq.grad_fn  # None: `x_seq` is a leaf of its own
    watched = x_seq.retains_grad or x_seq._backward_hooks
    return made_by is not None and made_by.name() == "ExpandBackward0" and not watched
