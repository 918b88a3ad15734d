"""Run modules over sequences, and shift sequences in time.

Shapes: x_seq is [T, N, *], time first; the `t_last_*` functions take [N, *, T], time last.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

__all__ = [
    "chunk_multi_step_forward",
    "delay",
    "multi_step_forward",
    "seq_to_ann_forward",
    "t_last_multi_step_forward",
    "t_last_seq_to_ann_forward",
]

Modules = Callable[..., Any] | list[Callable[..., Any]] | tuple[Callable[..., Any], ...]


def _chained(modules: Modules, x: Any) -> Any:
    for module in modules if isinstance(modules, list | tuple) else (modules,):
        x = module(x)
    return x


def _require_steps(owner: str, x_seq: Tensor, time_dim: int = 0) -> None:
    if x_seq.dim() == 0 or x_seq.shape[time_dim] == 0:
        shape = "[T, N, *]" if time_dim == 0 else "[N, *, T]"
        raise ValueError(
            f"{owner}: expected a sequence {shape} with T > 0, got shape {tuple(x_seq.shape)}"
        )


def _joined(join: Callable[..., Tensor], outputs: Sequence[Any], dim: int) -> Any:
    """Outputs of several calls joined along `dim`, tuples item by item."""
    if isinstance(outputs[0], tuple):
        return tuple(join(items, dim) for items in zip(*outputs, strict=True))
    return join(outputs, dim)


def multi_step_forward(x_seq: Tensor, multi_step_modules: Modules) -> Any:
    """Call single-step modules once for each time step of `x_seq` `[T, N, *]` and stack.

    Args:
        x_seq: input, `[T, N, *]`.
        multi_step_modules: one module or function of a step `[N, *]`, or several that follow each
            other. Several outputs, given as a tuple, are stacked one by one.

    Raises:
        ValueError: the sequence has no time steps.

    Example:
        >>> import torch
        >>> from sj_neurons import neuron
        >>> multi_step_forward(torch.full((4, 1), 0.5), neuron.IFNode()).flatten().tolist()
        [0.0, 1.0, 0.0, 1.0]
    """
    _require_steps("multi_step_forward", x_seq)
    # unbind, not indexing: the gradient of x[t] is a zero tensor of the size of x for each t
    outputs = [_chained(multi_step_modules, x) for x in x_seq.unbind(0)]
    return _joined(torch.stack, outputs, 0)


def chunk_multi_step_forward(split_size: int, x_seq: Tensor, multi_step_module: Modules) -> Any:
    """Call multi-step modules on pieces of `split_size` time steps; state carries over.

    The result is that of one call where no module mixes time steps, with the memory of one piece
    at a time under `no_grad`.

    Args:
        split_size: time steps per piece; the last piece may be shorter.
        x_seq: input, `[T, N, *]`.
        multi_step_module: one module in step mode `'m'`, or several that follow each other.

    Raises:
        ValueError: the sequence has no time steps, or `split_size` is below 1.
    """
    _require_steps("chunk_multi_step_forward", x_seq)
    if split_size < 1:
        raise ValueError(
            f"chunk_multi_step_forward: split_size must be 1 step or more, got {split_size}"
        )
    outputs = [_chained(multi_step_module, piece) for piece in x_seq.split(split_size)]
    return _joined(torch.cat, outputs, 0)


def seq_to_ann_forward(x_seq: Tensor | tuple[Tensor, ...], stateless_modules: Modules) -> Any:
    """Call stateless modules once on `x_seq` `[T, N, *]` with time folded into the batch.

    Several inputs are given as a tuple; several outputs come back as a tuple.

    Raises:
        ValueError: the inputs disagree on `[T, N]`.
    """
    inputs = x_seq if isinstance(x_seq, tuple) else (x_seq,)
    steps_and_batch = inputs[0].shape[:2]
    if any(x.shape[:2] != steps_and_batch for x in inputs):
        shapes = ", ".join(str(tuple(x.shape)) for x in inputs)
        raise ValueError(f"expected inputs that share [T, N], got shapes {shapes}")
    folded = tuple(x.flatten(0, 1) for x in inputs)
    y = _chained(stateless_modules, folded if isinstance(x_seq, tuple) else folded[0])
    if isinstance(y, tuple):
        return tuple(item.unflatten(0, steps_and_batch) for item in y)
    return y.unflatten(0, steps_and_batch)


def t_last_multi_step_forward(x_seq: Tensor, single_step_module: Modules) -> Any:
    """:func:`multi_step_forward` for sequences `[N, *, T]` with time last.

    Raises:
        ValueError: the sequence has no time steps.
    """
    _require_steps("t_last_multi_step_forward", x_seq, -1)
    outputs = [_chained(single_step_module, x) for x in x_seq.unbind(-1)]
    return _joined(torch.stack, outputs, -1)


def t_last_seq_to_ann_forward(x_seq: Tensor | tuple[Tensor, ...], stateless_module: Modules) -> Any:
    """:func:`seq_to_ann_forward` for sequences `[N, *, T]` with time last.

    Raises:
        ValueError: the inputs disagree on N or T.
    """
    time_first = tuple(x.movedim(-1, 0) for x in (x_seq if isinstance(x_seq, tuple) else (x_seq,)))
    y = seq_to_ann_forward(
        time_first if isinstance(x_seq, tuple) else time_first[0], stateless_module
    )
    if isinstance(y, tuple):
        return tuple(item.movedim(0, -1) for item in y)
    return y.movedim(0, -1)


def delay(x_seq: Tensor, delay_steps: int) -> Tensor:
    """`x_seq` `[T, *]` moved `delay_steps` later in time: y[t] = x[t - delay_steps], 0 before.

    The length T stays; what leaves the end is lost.

    Raises:
        ValueError: `delay_steps` is negative.

    Example:
        >>> import torch
        >>> delay(torch.tensor([1, 2, 3]), 1).tolist()
        [0, 1, 2]
    """
    if delay_steps < 0:
        raise ValueError(f"delay: delay_steps must be 0 or more, got {delay_steps}")
    kept = max(x_seq.shape[0] - delay_steps, 0)
    return torch.cat([torch.zeros_like(x_seq[kept:]), x_seq[:kept]])
