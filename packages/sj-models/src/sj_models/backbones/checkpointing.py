"""Gradient checkpointing of a part that may have state.

The part runs a second time in the backward pass. It then starts from the states that it started
from the first time, and leaves states and running statistics as the first pass left them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint

from sj_neurons.base import extract_memories, load_memories, to_functional_forward

__all__ = ["checkpointed"]


def checkpointed(module: nn.Module, function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """`function(x)`, which calls parts of `module`, without keeping what lies between.

    Inputs that need no gradient are passed through as usual.
    """
    if not (torch.is_grad_enabled() and x.requires_grad):
        return function(x)
    run = to_functional_forward(module, function)
    y, states = checkpoint(
        lambda x, states: run((x,), states),
        x,
        extract_memories(module),
        use_reentrant=False,
        context_fn=lambda: (nullcontext(), _kept_statistics(module)),
    )
    load_memories(module, states)
    return y


@contextmanager
def _kept_statistics(module: nn.Module) -> Iterator[None]:
    norms = [m for m in module.modules() if isinstance(m, _BatchNorm) and m.training]
    buffers = [(buffer, buffer.clone()) for norm in norms for buffer in norm.buffers()]
    try:
        yield
    finally:
        for buffer, value in buffers:
            buffer.data.copy_(value)
