"""Batch normalisation with the statistics of the batch, and the neuron behind it, as one operator.

    y = a x + b,   a = weight i,   b = bias - mean a,   i = 1 / sqrt(variance + eps)

per channel, and y drives the neuron. Forward: one pass over x for mean and variance, one for the
neuron, whose program takes in a x + b (:mod:`.affine`). Backward: its kernel returns a gy for the
input, and the sums of gy and gy x for b and a; one more pass adds what comes through mean and
variance, with n numbers per channel and z = i (x - mean):

    gx = a (gy - sum(gy) / n - z sum(gy z) / n)

y is never in memory. Kept between the two directions are x and what has one number per channel.

As in :mod:`.autograd`, each direction is a custom operator, and gradients of gradients come from
torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from . import autograd
from .affine import with_affine_input
from .autograd import backward_sums
from .interpret import run_by_torch
from .layout import Rows

__all__ = ["normalised_and_fused"]

_VECTORS = 5  # outputs [C] after the others: mean, variance, i, a, b

# repeat, program, numbers, rest, given, store_v_seq, backend, eps
Settings = tuple[int, str, list[float], list[float], list[int], bool, str, float]


def normalised_and_fused(
    x_seq: Tensor,
    repeat: int,
    weight: Tensor,
    bias: Tensor,
    states: Sequence[Tensor | None],
    parameters: Sequence[Tensor],
    program: str,
    numbers: Sequence[float],
    rest: Sequence[float],
    store_v_seq: bool,
    backend: str,
    eps: float,
) -> tuple[Tensor, Tensor | None, list[Tensor], Tensor, Tensor]:
    """What :func:`.autograd.fused` returns, and mean and biased variance `[C]` of the input.

    Args:
        x_seq: input `[T, N, C, *]`, or one frame `[1, N, C, *]`.
        weight, bias: `[C]`, in float64 for such input and in float32 otherwise.
        eps: added to the variance.
        repeat, states, parameters, program, numbers, rest, store_v_seq, backend: as for `fused`.
    """
    given = [i for i, state in enumerate(states) if state is not None]
    others = [*(state for state in states if state is not None), *parameters]
    settings = (
        repeat, program, list(numbers), list(rest), given, store_v_seq, backend, eps,
    )  # fmt: skip
    if autograd.is_plain(x_seq):
        outputs = _NormalisedAndFused.apply(settings, x_seq, weight, bias, *others)
    else:
        outputs = batch_norm_forward(x_seq, weight, bias, others, *settings)
    spikes, *last = outputs[:-_VECTORS]
    mean, variance = outputs[-_VECTORS:][:2]
    return spikes, (last[-1] if store_v_seq else None), list(last[: len(states)]), mean, variance


# the two directions, on tensors


def _channels(backend: str) -> Any:
    if backend == "cpp":
        from . import channels_cpp

        return channels_cpp
    from . import channels_cuda

    return channels_cuda


def _over_channels(vector: Tensor, x_seq: Tensor) -> Tensor:
    """`vector` `[C]` so that it broadcasts against a step of `x_seq` `[T, N, C, *]`."""
    return vector.reshape(-1, *(1,) * (x_seq.dim() - 3))


def _forward(
    x_seq: Tensor,
    weight: Tensor,
    bias: Tensor,
    others: list[Tensor],
    repeat: int,
    program: str,
    numbers: list[float],
    rest: list[float],
    given: list[int],
    store_v_seq: bool,
    backend: str,
    eps: float,
) -> list[Tensor]:
    """Outputs as in :mod:`.autograd`, then mean, variance and i in float64, then a and b."""
    rows, x = Rows.of(x_seq)
    steps = x_seq.shape[0] if x.stride(0) else 1
    mean, variance = _channels(backend).moments(x, steps, _inner(rows), weight.numel())
    scale = (variance + eps).rsqrt_()
    a = weight * scale
    b = torch.addcmul(bias, mean, a, value=-1.0)
    a, b = a.to(weight.dtype), b.to(weight.dtype)
    outputs = autograd.run_forward(
        x_seq, [*others, _over_channels(a, x_seq), _over_channels(b, x_seq)], repeat,
        with_affine_input(program), numbers, rest, given, store_v_seq, backend,
    )  # fmt: skip
    return [*outputs, mean, variance, scale, a, b]


def _inner(rows: Rows) -> int:
    """How many neurons of one channel follow each other."""
    if rows.shape[1] == 1:
        return rows.neurons
    inner = 1
    for d, (size, stride) in enumerate(zip(rows.shape, rows.strides, strict=True)):
        inner *= size if d != 1 and stride < rows.strides[1] else 1
    return inner


def _backward(
    gradients: list[Tensor],
    present: list[int],
    needed: list[bool],
    x_seq: Tensor,
    weight: Tensor,
    bias: Tensor,
    vectors: list[Tensor],
    others: list[Tensor],
    repeat: int,
    program: str,
    numbers: list[float],
    rest: list[float],
    given: list[int],
    store_v_seq: bool,
    backend: str,
    eps: float,
) -> list[Tensor]:
    """Gradients of input, weight, bias and `others`, those `needed` alone.

    `vectors` are the last five outputs of the other direction.
    """
    of_x, of_weight, of_bias, *of_others = needed
    mean, _, scale, a, b = vectors
    affine = [_over_channels(a, x_seq), _over_channels(b, x_seq)]
    grad_x, grad_states, sums, rows = backward_sums(
        gradients, present, [of_x, *of_others, True, True], x_seq, [*others, *affine], repeat,
        with_affine_input(program), numbers, rest, given, store_v_seq, backend,
    )  # fmt: skip
    # channels lie in order, so that no sum needs to be moved
    grad_a, grad_b = (total.sum(0) for _, total in sums[-2:] if total is not None)
    grad_weight = torch.addcmul(grad_a, mean, grad_b, value=-1.0).mul_(scale)
    results: list[Tensor] = []
    if grad_x is not None:
        n = (repeat or x_seq.shape[0]) * rows.neurons // weight.numel()
        share = -max(1, repeat) / n * a
        c1 = share * scale * grad_weight
        c0 = torch.addcmul(share * grad_b, c1, mean, value=-1.0)
        _, x = Rows.of(x_seq)
        _channels(backend).add_affine(
            rows.flat_sequence(grad_x), x, sums[-1][0].inner, weight.numel(),
            c0.to(weight.dtype), c1.to(weight.dtype),
        )  # fmt: skip
        results.append(grad_x)
    results += [grad_weight.to(weight.dtype)] if of_weight else []
    results += [grad_b.to(bias.dtype)] if of_bias else []
    results += [state for state in grad_states if state is not None]
    results += [
        spread.gradient(total, rows, spread.values.dtype)
        for spread, total in sums[:-2]
        if total is not None
    ]
    return results


# autograd: one set of rules, for the plain function and for the operators


def _remember(
    ctx: Any, settings: Settings, inputs: Sequence[Tensor], vectors: Sequence[Tensor]
) -> None:
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(*vectors, *inputs)
    ctx.settings = settings


def _gradients(
    ctx: Any, gradients: Sequence[Tensor | None], needed: Sequence[bool], backward: Any
) -> list[Tensor | None]:
    """Gradients of input, weight, bias and all others, None where not `needed`."""
    vectors, tensors = ctx.saved_tensors[:_VECTORS], ctx.saved_tensors[_VECTORS:]
    # the vectors have no gradient of their own
    present = [i for i, g in enumerate(gradients[:-_VECTORS]) if g is not None]
    if not present or not any(needed):
        return [None] * len(needed)
    given = [gradients[i] for i in present]
    if torch.is_grad_enabled() or any(map(autograd.is_batch, given)):
        found = _gradients_by_torch(tensors, ctx.settings, present, given, needed)
    else:
        x_seq, weight, bias, *others = tensors
        found = backward(
            given, present, list(needed), x_seq, weight, bias, list(vectors), others, *ctx.settings
        )
    rest = iter(found)
    return [next(rest) if wanted else None for wanted in needed]


def _gradients_by_torch(
    tensors: Sequence[Tensor],
    settings: Settings,
    present: Sequence[int],
    gradients: Sequence[Any],
    needed: Sequence[bool],
) -> list[Tensor]:
    """The same gradients by operations of torch, with a graph of their own if one is recorded."""
    repeat, program, numbers, rest, given, _, _, eps = settings
    create_graph = torch.is_grad_enabled()
    with torch.enable_grad():
        # aliases, as one tensor may take two places
        tensors = [tensor.view_as(tensor) for tensor in tensors]
        x_seq, weight, bias, *others = tensors
        states: list[Tensor | None] = [None] * len(rest)
        for i, state in zip(given, others, strict=False):
            states[i] = state
        batch = x_seq.flatten(0, 1).to(weight.dtype)
        y = functional.batch_norm(batch, None, None, weight, bias, True, 0.0, eps)
        spikes, last, v_seq = run_by_torch(
            program, y.view(x_seq.shape), repeat or x_seq.shape[0], states,
            others[len(given) :], numbers, rest,
        )  # fmt: skip
        outputs = [spikes.to(x_seq.dtype), *last, v_seq.to(x_seq.dtype)]
    return autograd.gradients_through(outputs, present, gradients, tensors, needed, create_graph)


class _NormalisedAndFused(torch.autograd.Function):
    """The eager way: `apply(settings, x_seq, weight, bias, *states, *parameters)`."""

    @staticmethod
    def forward(ctx: Any, settings: Settings, *tensors: Tensor) -> tuple[Tensor, ...]:
        x_seq, weight, bias, *others = tensors
        outputs = _forward(x_seq, weight, bias, others, *settings)
        vectors = outputs[-_VECTORS:]
        _remember(ctx, settings, tensors, vectors)
        ctx.mark_non_differentiable(*vectors)
        return tuple(outputs)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor | None) -> tuple[Tensor | None, ...]:
        needed = ctx.needs_input_grad[1:]
        return (None, *_gradients(ctx, grad_outputs, needed, _backward))

    @staticmethod
    def jvp(ctx: Any, *grad_inputs: Any) -> Any:
        raise NotImplementedError("neurons have no derivative in forward mode, on any backend")


# the operators that torch.compile and torch.export see

batch_norm_forward = torch.library.custom_op(
    "sj_neurons::batch_norm_forward", _forward, mutates_args=(), device_types=("cpu", "cuda")
)
batch_norm_backward = torch.library.custom_op(
    "sj_neurons::batch_norm_backward", _backward, mutates_args=(), device_types=("cpu", "cuda")
)


@batch_norm_forward.register_fake
def _(
    x_seq: Tensor,
    weight: Tensor,
    bias: Tensor,
    others: list[Tensor],
    repeat: int,
    program: str,
    numbers: list[float],
    rest: list[float],
    given: list[int],
    store_v_seq: bool,
    backend: str,
    eps: float,
) -> list[Tensor]:
    rows, _ = Rows.of(x_seq)
    sequences = [
        rows.new_sequence(repeat or x_seq.shape[0], x_seq.dtype, x_seq.device)
        for _ in range(1 + store_v_seq)
    ]
    last = [rows.new_step(weight.dtype, x_seq.device) for _ in rest]
    real, double = weight.dtype, torch.float64
    kinds = (double, double, double, real, real)
    vectors = [weight.new_empty(weight.shape, dtype=dtype) for dtype in kinds]
    return [sequences[0], *last, *sequences[1:], *vectors]


@batch_norm_backward.register_fake
def _(
    gradients: list[Tensor],
    present: list[int],
    needed: list[bool],
    x_seq: Tensor,
    weight: Tensor,
    bias: Tensor,
    vectors: list[Tensor],
    others: list[Tensor],
    repeat: int,
    program: str,
    numbers: list[float],
    rest: list[float],
    given: list[int],
    store_v_seq: bool,
    backend: str,
    eps: float,
) -> list[Tensor]:
    rows, _ = Rows.of(x_seq)
    states, parameters = others[: len(given)], others[len(given) :]
    dense = [weight, bias, *parameters]
    empty = [torch.empty_like(v, memory_format=torch.contiguous_format) for v in dense]
    all_of_them = [
        rows.new_sequence(x_seq.shape[0], x_seq.dtype, x_seq.device),
        *empty[:2],
        *(rows.new_step(weight.dtype, x_seq.device) for _ in states),
        *empty[2:],
    ]
    return [tensor for tensor, wanted in zip(all_of_them, needed, strict=True) if wanted]


def _set_up(ctx: Any, inputs: tuple[Any, ...], output: list[Tensor]) -> None:
    x_seq, weight, bias, others, *settings = inputs
    _remember(ctx, tuple(settings), (x_seq, weight, bias, *others), output[-_VECTORS:])  # pyright: ignore[reportArgumentType]


def _of_operator(ctx: Any, gradients: list[Tensor | None]) -> tuple[Any, ...]:
    of_x, of_weight, of_bias, of_others, *_ = ctx.needs_input_grad
    needed = [of_x, of_weight, of_bias, *of_others]
    of_x, of_weight, of_bias, *of_others = _gradients(ctx, gradients, needed, batch_norm_backward)
    # torch takes any empty list for one of tensors, and wants as many gradients
    empty = ([] if setting == [] else None for setting in ctx.settings)
    return (of_x, of_weight, of_bias, of_others, *empty)


batch_norm_forward.register_autograd(_of_operator, setup_context=_set_up)
