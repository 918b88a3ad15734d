"""The fused step as a differentiable operator on tensors of any shape.

Called eagerly it is a plain autograd function; to `torch.compile` and `torch.export` each direction
is a custom operator (:mod:`.operators`), which they see as one node and which costs more to call.

Both directions keep the input, the initial states and the parameters, nothing else. Gradients of
gradients, and batches of gradients (`is_grads_batched`), are taken through :mod:`.interpret`, the
program evaluated by torch. The transforms of `torch.func` and forward-mode derivatives are refused
with an error; backend `'torch'` knows the former, and `'auto'` falls back to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from . import cpp
from .interpret import run_by_torch
from .layout import Rows, Spread

__all__ = [
    "backward_sums",
    "fused",
    "gradients_of",
    "gradients_through",
    "is_batch",
    "is_plain",
    "real_type",
    "remember",
    "run_backward",
    "run_forward",
]


def fused(
    x_seq: Tensor,
    repeat: int,
    states: Sequence[Tensor | None],
    parameters: Sequence[Tensor],
    program: str,
    numbers: Sequence[float],
    rest: Sequence[float],
    store_v_seq: bool,
    backend: str,
) -> tuple[Tensor, Tensor | None, list[Tensor]]:
    """Outputs `[T, N, *]`, the first state after each step or None, and the last states.

    Args:
        x_seq: input `[T, N, *]`, or one frame `[1, N, *]`.
        repeat: 0, or the number T of steps that see the one frame.
        states: initial states `[N, *]`; None starts all neurons at the number in `rest`.
        parameters: what broadcasts against a step.
        program: text of the program.
        numbers: values of its `k0 ...`.
        rest: one number per state.
        store_v_seq: whether the first state after each step is wanted.
        backend: `'cpp'` or `'cupy'`.
    """
    given = [i for i, state in enumerate(states) if state is not None]
    tensors = [x_seq, *(state for state in states if state is not None), *parameters]
    settings = (repeat, program, list(numbers), list(rest), given, store_v_seq, backend)
    if is_plain(x_seq):
        outputs = _Fused.apply(settings, *tensors)
    else:
        from . import operators  # eager programs never need them, and they take time to register

        x_seq, *others = tensors
        outputs = operators.fused_forward(x_seq, others, *settings)
    spikes, *others = outputs
    return spikes, (others[-1] if store_v_seq else None), list(others[: len(states)])


def is_plain(x: Tensor) -> bool:
    """Whether `x` has memory and nobody records what is done to it."""
    if torch.compiler.is_compiling() or x.is_meta:
        return False
    return type(x) in (Tensor, torch.nn.Parameter)


# the two directions, on tensors


def _launcher(backend: str) -> Any:
    if backend == "cpp":
        return cpp
    from . import cuda

    return cuda


def run_forward(
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
    """Outputs, last states and, if wanted, the first state after each step.

    `others` are the initial states of the numbers in `given`, then the parameters.
    """
    rows, x, steps = _rows_of(x_seq, repeat)
    real = real_type(x)
    spikes = rows.new_sequence(steps, x.dtype, x.device)
    v_seq = rows.new_sequence(steps, x.dtype, x.device) if store_v_seq else None
    last = [rows.new_step(real, x.device) for _ in rest]
    _launcher(backend).forward(
        program,
        x,
        steps,
        _placed(others, given, len(rest), rows, real),
        [(s.values, s.inner, s.size) for s in _spreads(others, given, rows)],
        numbers,
        rest,
        rows.flat_sequence(spikes),
        None if v_seq is None else rows.flat_sequence(v_seq),
        [rows.flat_step(state) for state in last],
    )
    return [spikes, *last, *([] if v_seq is None else [v_seq])]


def run_backward(
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
    """Gradients of the input and of `others`, those `needed` alone.

    `gradients` are those of the outputs whose places are in `present`; the others are 0.
    """
    grad_x, grad_first, sums, rows = backward_sums(
        gradients, present, needed, x_seq, others,
        repeat, program, numbers, rest, given, store_v_seq, backend,
    )  # fmt: skip
    results = [] if grad_x is None else [grad_x]
    results += [state for state in grad_first if state is not None]
    results += [
        spread.gradient(total, rows, spread.values.dtype)
        for spread, total in sums
        if total is not None
    ]
    return results


def backward_sums(
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
) -> tuple[Tensor | None, list[Tensor | None], list[tuple[Spread, Tensor | None]], Rows]:
    """The same, with gradients of parameters as they are summed: `[parts, size]` in float64.

    Returns the gradient of the input, of all states, the sums and the layout they are for.
    """
    rows, x, steps = _rows_of(x_seq, repeat)
    real = real_type(x)
    outputs: list[Tensor | None] = [None] * (2 + len(rest))
    for place, gradient in zip(present, gradients, strict=True):
        is_sequence = place in (0, 1 + len(rest))
        outputs[place] = (
            rows.fitting_sequence(gradient.to(x.dtype))
            if is_sequence
            else rows.fitting_step(gradient, real)
        )
    grad_x = rows.new_sequence(x_seq.shape[0], x.dtype, x.device) if needed[0] else None
    flat_grad_x = None if grad_x is None else rows.flat_sequence(grad_x)
    if flat_grad_x is not None and repeat:
        flat_grad_x = flat_grad_x.as_strided(flat_grad_x.shape, (0, 1))
    of_states, of_parameters = needed[1 : 1 + len(given)], needed[1 + len(given) :]
    grad_first: list[Tensor | None] = [None] * len(rest)
    for i, wanted in zip(given, of_states, strict=True):
        grad_first[i] = rows.new_step(real, x.device) if wanted else None
    spreads = _spreads(others, given, rows)
    sums = [
        _new_sums(spread, rows, x.device, backend) if wanted else None
        for spread, wanted in zip(spreads, of_parameters, strict=True)
    ]
    _launcher(backend).backward(
        program,
        x,
        steps,
        _placed(others, given, len(rest), rows, real),
        [(s.values, s.inner, s.size) for s in spreads],
        numbers,
        rest,
        outputs[0],
        outputs[-1],
        outputs[1:-1],
        flat_grad_x,
        [None if state is None else rows.flat_step(state) for state in grad_first],
        sums,
    )
    return grad_x, grad_first, list(zip(spreads, sums, strict=True)), rows


def real_type(x: Tensor) -> torch.dtype:
    """The type that states and parameters have beside an input `x`."""
    return torch.float64 if x.dtype == torch.float64 else torch.float32


def _rows_of(x_seq: Tensor, repeat: int) -> tuple[Rows, Tensor, int]:
    rows, x = Rows.of(x_seq)
    if repeat:
        x = x.as_strided(x.shape, (0, 1))
    return rows, x, repeat or x_seq.shape[0]


def _placed(
    others: Sequence[Tensor], given: Sequence[int], count: int, rows: Rows, real: torch.dtype
) -> list[Tensor | None]:
    placed: list[Tensor | None] = [None] * count
    for i, state in zip(given, others[: len(given)], strict=True):
        placed[i] = rows.fitting_step(state, real)
    return placed


def _spreads(others: Sequence[Tensor], given: Sequence[int], rows: Rows) -> list[Spread]:
    return [Spread.over(parameter, rows) for parameter in others[len(given) :]]


def _new_sums(spread: Spread, rows: Rows, device: torch.device, backend: str) -> Tensor:
    parts = 1 if spread.size == rows.neurons else _launcher(backend).parts_of(rows.neurons)
    return torch.zeros(parts, spread.size, dtype=torch.float64, device=device)


# autograd: one set of rules, for the plain function and for the operators


def remember(ctx: Any, settings: tuple[Any, ...], tensors: Sequence[Tensor]) -> None:
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(*tensors)
    ctx.settings = settings


def gradients_of(
    ctx: Any, gradients: Sequence[Tensor | None], needed: Sequence[bool], backward: Any
) -> list[Tensor | None]:
    """Gradients of all tensors that were saved, None where not `needed`."""
    if all(gradient is None for gradient in gradients) or not any(needed):
        return [None] * len(needed)
    x_seq, *others = ctx.saved_tensors
    present = [i for i, gradient in enumerate(gradients) if gradient is not None]
    given = [gradients[i] for i in present]
    if torch.is_grad_enabled() or any(map(is_batch, given)):
        found = _gradients_by_torch(ctx.saved_tensors, ctx.settings, present, given, needed)
    else:
        found = backward(given, present, list(needed), x_seq, others, *ctx.settings)
    rest = iter(found)
    return [next(rest) if wanted else None for wanted in needed]


def is_batch(gradient: Tensor | None) -> bool:
    """Whether several gradients at once stand here as one (`is_grads_batched`, `torch.vmap`)."""
    functorch = torch._C._functorch  # pyright: ignore[reportAttributeAccessIssue]
    return functorch.is_legacy_batchedtensor(gradient) or functorch.is_batchedtensor(gradient)


def _gradients_by_torch(
    tensors: Sequence[Tensor],
    settings: tuple[Any, ...],
    present: Sequence[int],
    gradients: Sequence[Any],
    needed: Sequence[bool],
) -> list[Tensor]:
    """The same gradients by operations of torch, with a graph of their own if one is recorded."""
    repeat, program, numbers, rest, given, _, _ = settings
    create_graph = torch.is_grad_enabled()
    with torch.enable_grad():
        # aliases, as one tensor may take two places
        tensors = [tensor.view_as(tensor) for tensor in tensors]
        x_seq, *others = tensors
        states: list[Tensor | None] = [None] * len(rest)
        for i, state in zip(given, others, strict=False):
            states[i] = state
        spikes, last, v_seq = run_by_torch(
            program, x_seq, repeat or x_seq.shape[0], states, others[len(given) :], numbers, rest
        )
    outputs = [spikes, *last, v_seq]
    return gradients_through(outputs, present, gradients, tensors, needed, create_graph)


def gradients_through(
    outputs: Sequence[Tensor],
    present: Sequence[int],
    gradients: Sequence[Any],
    tensors: Sequence[Tensor],
    needed: Sequence[bool],
    create_graph: bool,
) -> list[Tensor]:
    """Gradients of the `tensors` that are `needed`, through the graph that torch recorded.

    `gradients` are those of the outputs whose places are in `present`; the others are 0.
    """
    pairs = [
        (outputs[i], gradient)
        for i, gradient in zip(present, gradients, strict=True)
        if outputs[i].requires_grad
    ]
    wanted = [tensor for tensor, want in zip(tensors, needed, strict=True) if want]
    found: Sequence[Tensor | None] = [None] * len(wanted)
    if pairs:
        found = torch.autograd.grad(
            [output for output, _ in pairs],
            wanted,
            [gradient for _, gradient in pairs],
            create_graph=create_graph,
            allow_unused=True,
        )
    return [
        torch.zeros_like(tensor) if gradient is None else gradient
        for tensor, gradient in zip(wanted, found, strict=True)
    ]


class _Fused(torch.autograd.Function):
    """The eager way: `apply(settings, x_seq, *states, *parameters)`."""

    @staticmethod
    def forward(ctx: Any, settings: tuple[Any, ...], *tensors: Tensor) -> tuple[Tensor, ...]:
        remember(ctx, settings, tensors)
        x_seq, *others = tensors
        return tuple(run_forward(x_seq, others, *settings))

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor | None) -> tuple[Tensor | None, ...]:
        needed = ctx.needs_input_grad[1:]
        return (None, *gradients_of(ctx, grad_outputs, needed, run_backward))

    @staticmethod
    def jvp(ctx: Any, *grad_inputs: Any) -> Any:
        raise NotImplementedError("neurons have no derivative in forward mode, on any backend")
