"""Periodic encoding: a given sequence of spikes, played again and again.

out[t] = spike[t mod T]
"""

from __future__ import annotations

from torch import Tensor

from .base import StatefulEncoder

__all__ = ["PeriodicEncoder"]


class PeriodicEncoder(StatefulEncoder):
    """Play the given spikes, whatever the input.

    The input may be left out. Where there is one its values and shape do not matter, except that a
    sequence in step mode `'m'` says how many steps to play. `reset()` goes back to the first step.

    Args:
        spike: the period, `[T, N, *]`; a copy is kept, which follows `.to()` of the module and is
            not part of its `state_dict()`.
        step_mode: `'s'` or `'m'`; see :class:`StatefulEncoder`.

    Raises:
        TypeError: `spike` is not a tensor.
        ValueError: `spike` has no steps.

    Example:
        >>> import torch
        >>> encoder = PeriodicEncoder(torch.tensor([[0.0], [1.0]]))
        >>> [encoder().item() for t in range(5)]
        [0.0, 1.0, 0.0, 1.0, 0.0]
    """

    def __init__(self, spike: Tensor, step_mode: str = "s") -> None:
        if not isinstance(spike, Tensor):
            raise TypeError(f"PeriodicEncoder: spike must be a tensor [T, N, *], got {spike!r}")
        if spike.dim() == 0 or spike.shape[0] == 0:
            raise ValueError(
                f"PeriodicEncoder: spike must be [T, N, *] with T > 0, got shape "
                f"{tuple(spike.shape)}"
            )
        super().__init__(spike.shape[0], step_mode)
        self.set_reset_value("spike", spike.detach())
        self.reset()

    def single_step_encode(self, x: Tensor) -> Tensor:
        return self.get_reset_value("spike").clone()
