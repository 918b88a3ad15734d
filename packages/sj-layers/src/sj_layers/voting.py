"""Voting: groups of output units that stand for one class each."""

from __future__ import annotations

from torch import Tensor, nn

from sj_neurons.base import StepModule

__all__ = ["VotingLayer"]


class VotingLayer(nn.Module, StepModule):
    """Averages groups of `voting_size` units that lie side by side: `[*, C]` to `[*, C // size]`.

    Both step modes average the last axis. Units that do not fill a group are left out.

    Args:
        voting_size: units per group.
        step_mode: `'s'` (`[N, C]`) or `'m'` (`[T, N, C]`).

    Raises:
        ValueError: `voting_size` is below 1, or an input with less than one group.

    Example:
        >>> import torch
        >>> VotingLayer(2)(torch.tensor([[1.0, 0.0, 1.0, 1.0]]))
        tensor([[0.5000, 1.0000]])
    """

    def __init__(self, voting_size: int = 10, step_mode: str = "s") -> None:
        super().__init__()
        if voting_size < 1:
            raise ValueError(f"VotingLayer: voting_size must be at least 1, got {voting_size}")
        self.voting_size = voting_size
        self.step_mode = step_mode

    def forward(self, x: Tensor) -> Tensor:
        if x.dim() == 0 or x.shape[-1] < self.voting_size:
            raise ValueError(
                f"VotingLayer: expected at least {self.voting_size} units in the last axis, got "
                f"shape {tuple(x.shape)}"
            )
        groups = x.shape[-1] // self.voting_size
        votes = x[..., : groups * self.voting_size].unflatten(-1, (groups, self.voting_size))
        return votes.mean(-1)

    def extra_repr(self) -> str:
        return f"voting_size={self.voting_size}, step_mode={self.step_mode}"
