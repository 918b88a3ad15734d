"""Both directions as custom operators, for whoever records what is done to tensors.

`sj_neurons::fused_forward` and `sj_neurons::fused_backward` have fake implementations and autograd
rules, so that `torch.compile` and `torch.export` see one node each and no graph break.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .autograd import gradients_of, real_type, remember, run_backward, run_forward
from .layout import Rows

__all__ = ["fused_backward", "fused_forward"]

fused_forward = torch.library.custom_op(
    "sj_neurons::fused_forward", run_forward, mutates_args=(), device_types=("cpu", "cuda")
)
fused_backward = torch.library.custom_op(
    "sj_neurons::fused_backward", run_backward, mutates_args=(), device_types=("cpu", "cuda")
)


@fused_forward.register_fake
def _(
    x_seq: Tensor,
    others: list[Tensor],
    repeat: int,
    program: str,
    numbers: list[float],
    rest: list[float],
    given: list[int],
    store_v_seq: bool,
    backend: str,
) -> list[Tensor]:
    rows, _ = Rows.of(x_seq)
    sequences = [
        rows.new_sequence(repeat or x_seq.shape[0], x_seq.dtype, x_seq.device)
        for _ in range(1 + store_v_seq)
    ]
    last = [rows.new_step(real_type(x_seq), x_seq.device) for _ in rest]
    return [sequences[0], *last, *sequences[1:]]


@fused_backward.register_fake
def _(
    gradients: list[Tensor],
    present: list[int],
    needed: list[bool],
    x_seq: Tensor,
    others: list[Tensor],
    repeat: int,
    program: str,
    numbers: list[float],
    rest: list[float],
    given: list[int],
    store_v_seq: bool,
    backend: str,
) -> list[Tensor]:
    rows, _ = Rows.of(x_seq)
    states, parameters = others[: len(given)], others[len(given) :]
    empty = [
        rows.new_sequence(x_seq.shape[0], x_seq.dtype, x_seq.device),
        *(rows.new_step(real_type(x_seq), x_seq.device) for _ in states),
        *(torch.empty_like(p, memory_format=torch.contiguous_format) for p in parameters),
    ]
    return [tensor for tensor, wanted in zip(empty, needed, strict=True) if wanted]


def _set_up(ctx: Any, inputs: tuple[Any, ...], output: list[Tensor]) -> None:
    x_seq, others, *settings = inputs
    remember(ctx, tuple(settings), (x_seq, *others))


def _of_operator(ctx: Any, gradients: list[Tensor | None]) -> tuple[Any, ...]:
    of_x, of_others, *_ = ctx.needs_input_grad
    needed = [of_x, *of_others]
    of_x, *of_others = gradients_of(ctx, gradients, needed, fused_backward)
    # torch takes any empty list for one of tensors, and wants as many gradients
    return (of_x, of_others, *([] if setting == [] else None for setting in ctx.settings))


fused_forward.register_autograd(_of_operator, setup_context=_set_up)
