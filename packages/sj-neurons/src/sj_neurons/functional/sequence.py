"""Run modules made for one step over a sequence `[T, N, *]`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

__all__ = ["multi_step_forward", "seq_to_ann_forward"]

Modules = Callable[..., Any] | list[Callable[..., Any]] | tuple[Callable[..., Any], ...]


def _chained(modules: Modules, x: Any) -> Any:
    for module in modules if isinstance(modules, list | tuple) else (modules,):
        x = module(x)
    return x


def multi_step_forward(x_seq: Tensor, multi_step_modules: Modules) -> Tensor:
    """Call single-step modules once for each time step of `x_seq` `[T, N, *]` and stack."""
    return torch.stack([_chained(multi_step_modules, x) for x in x_seq.unbind(0)])


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
