"""Filtering and delaying currents: one time step as a pure function."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["delay_step", "synapse_filter_step"]


def synapse_filter_step(x: Tensor, out_i: Tensor, reciprocal_tau: float | Tensor) -> Tensor:
    """One step of :class:`sj_layers.SynapseFilter`: `out_i - (1 - x) * out_i / tau + x`.

    Args:
        x: input of this step, `[N, *]`.
        out_i: output of the step before, `[N, *]`.
        reciprocal_tau: 1 / tau, per step.
    """
    return out_i - (1.0 - x) * out_i * reciprocal_tau + x


def delay_step(
    x: Tensor, queue: tuple[Tensor, ...], delay_steps: int
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """One step of a delay: the input of `delay_steps` steps ago, or 0 where there was none.

    Args:
        x: input of this step, `[N, *]`.
        queue: the inputs that are under way, the oldest first; `()` at the start.
        delay_steps: how many steps later an input comes out, 0 or more.

    Returns:
        The output of this step, and the queue for the next one.

    Raises:
        ValueError: `delay_steps` is negative.

    Example:
        >>> queue = ()
        >>> for x in (1.0, 2.0, 3.0):
        ...     y, queue = delay_step(torch.tensor(x), queue, 1)
        ...     print(y.item())
        0.0
        1.0
        2.0
    """
    if delay_steps < 0:
        raise ValueError(f"delay_step: delay_steps must be 0 or more, got {delay_steps}")
    under_way = (*queue, x)
    if len(under_way) > delay_steps:
        return under_way[0], under_way[1:]
    return torch.zeros_like(x), under_way
