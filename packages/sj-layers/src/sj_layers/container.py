"""Containers that decide how their children see time."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from sj_neurons.base import MemoryModule, MultiStepModule, StepModule
from sj_neurons.functional import seq_to_ann_forward

__all__ = ["SeqToANNContainer"]


class SeqToANNContainer(nn.Sequential, MultiStepModule):
    """Run stateless modules on a sequence with time folded into the batch.

    Takes plain torch modules or step-mode layers in `'s'`; input `[T, N, *]`, output `[T, N, *]`.

    Raises:
        ValueError: a child keeps state, or is set to step mode `'m'`.

    Example:
        >>> import torch
        >>> net = SeqToANNContainer(torch.nn.Conv2d(1, 4, 3), torch.nn.BatchNorm2d(4))
        >>> net(torch.rand(2, 3, 1, 8, 8)).shape   # T=2, N=3
        torch.Size([2, 3, 4, 6, 6])
    """

    owns_children_step_mode = True

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        for child in self.modules():
            if child is self:
                continue
            name = type(child).__name__
            if isinstance(child, MemoryModule):
                raise ValueError(
                    f"SeqToANNContainer: {name} keeps state between steps; place it outside"
                )
            if isinstance(child, StepModule) and child.step_mode != "s":
                raise ValueError(f"SeqToANNContainer: {name} must be in step mode 's'")

    def forward(self, input: Tensor) -> Any:
        return seq_to_ann_forward(input, super().forward)
