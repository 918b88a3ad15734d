"""One call of a neuron on a fused backend.

neuron, input  ->  program (traced once), parameters, states   (`run_sequence`)
               ->  differentiable operator                       (autograd.py)
               ->  kernels on flat memory                        (cpp.py, cuda.py)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from .autograd import fused
from .layout import is_dense
from .select import trace_of
from .trace import state_names

if TYPE_CHECKING:
    from ..neuron.base import BaseNode

__all__ = ["run_sequence"]


def run_sequence(
    node: BaseNode, backend: str, x_seq: Tensor, store_v_seq: bool
) -> tuple[Tensor, Tensor | None, dict[str, Tensor]]:
    """All time steps of `x_seq` `[T, N, *]`: outputs, first state after each step, last states.

    The states of `node` are where it starts, and are not changed. Between calls states are kept
    in float32 where the input is in half precision.
    """
    made = trace_of(node)
    if not x_seq.is_floating_point():
        x_seq = x_seq.to(torch.get_default_dtype())
    real = torch.float64 if x_seq.dtype == torch.float64 else torch.float32
    shape = x_seq.shape[1:]
    names = state_names(node)
    states: list[Tensor | None] = []
    rest: list[float] = []
    for name in names:
        value = node._memories[name]
        if isinstance(value, Tensor):
            states.append(node._fitting_state(value, shape, x_seq, real))
            rest.append(0.0)
        else:
            states.append(None)
            rest.append(float(value))
    parameters = made.parameters(node, len(shape), real)
    frame = _repeated_frame(x_seq)
    repeat = 0 if frame is None else x_seq.shape[0]
    spikes, v_seq, last = fused(
        x_seq if frame is None else frame,
        repeat,
        states,
        parameters,
        made.program.text,
        made.numbers,
        rest,
        store_v_seq,
        backend,
    )
    return spikes, v_seq, dict(zip(names, last, strict=True))


def _repeated_frame(x_seq: Tensor) -> Tensor | None:
    """The frame `[1, N, *]` that `x_seq` repeats by a time stride of 0, or None.

    It is taken from the tensor that was expanded, not from `x_seq`: its gradient then is the sum
    over time, which nobody needs to write out step by step.
    """
    if torch.compiler.is_compiling() or x_seq.shape[0] == 1 or x_seq.stride(0) != 0:
        return None
    source = x_seq._base
    frame = x_seq.shape[1:]
    if source is None or source.numel() != frame.numel() or source.dtype != x_seq.dtype:
        return None
    if source.data_ptr() != x_seq.data_ptr():
        return None
    if not (is_dense(source.shape, source.stride()) and is_dense(frame, x_seq.stride()[1:])):
        return None
    strides = (frame.numel(), *x_seq.stride()[1:])
    return source.as_strided((1, *frame), strides)
