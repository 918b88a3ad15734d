"""Containers that decide how their children see time.

    folded   all steps in one call, time in the batch     [T, N, *] -> [T N, *] -> [T, N, *]
    looped   one call per step                             x[0], x[1], ...

Folding suits children without state, looping those with state. All children are plain torch modules
or step-mode modules in `'s'`, and `functional.set_step_mode` leaves them alone.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from sj_neurons.base import MultiStepModule, StepModule
from sj_neurons.functional import (
    multi_step_forward,
    seq_to_ann_forward,
    t_last_multi_step_forward,
    t_last_seq_to_ann_forward,
)

from ._children import require_single_step, require_stateless

__all__ = [
    "MultiStepContainer",
    "SeqToANNContainer",
    "StepModeContainer",
    "TLastMultiStepContainer",
    "TLastSeqToANNContainer",
]


class MultiStepContainer(nn.Sequential, MultiStepModule):
    """Run modules one step after the other: `[T, N, *]` to `[T, N, *]`.

    Raises:
        ValueError: a child is in step mode `'m'`, or a sequence without time steps.

    Example:
        >>> import torch
        >>> from sj_neurons import neuron
        >>> net = MultiStepContainer(torch.nn.Linear(8, 4), neuron.IFNode())
        >>> net(torch.rand(2, 3, 8)).shape   # T=2, N=3
        torch.Size([2, 3, 4])
    """

    owns_children_step_mode = True

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        for child in self:
            require_single_step(type(self).__name__, child)

    def forward(self, input: Tensor) -> Any:
        return multi_step_forward(input, super().forward)


class SeqToANNContainer(nn.Sequential, MultiStepModule):
    """Run stateless modules on a sequence with time folded into the batch.

    Input `[T, N, *]`, output `[T, N, *]`.

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
        for child in self:
            require_stateless(type(self).__name__, child)
            require_single_step(type(self).__name__, child)

    def forward(self, input: Tensor) -> Any:
        return seq_to_ann_forward(input, super().forward)


class TLastMultiStepContainer(MultiStepContainer):
    """:class:`MultiStepContainer` for sequences with time last, `[N, *, T]`."""

    def forward(self, input: Tensor) -> Any:
        return t_last_multi_step_forward(input, super(MultiStepContainer, self).forward)


class TLastSeqToANNContainer(SeqToANNContainer):
    """:class:`SeqToANNContainer` for sequences with time last, `[N, *, T]`."""

    def forward(self, input: Tensor) -> Any:
        return t_last_seq_to_ann_forward(input, super(SeqToANNContainer, self).forward)


class StepModeContainer(nn.Sequential, StepModule):
    """Give plain modules a step mode of their own.

    `'s'` calls them in turn on a step `[N, *]`. `'m'` takes `[T, N, *]`: one step after the other
    where `stateful`, with time folded into the batch where not.

    Args:
        stateful: whether a child keeps state.
        step_mode: `'s'` or `'m'`; may be left out, as in `StepModeContainer(False, conv, norm)`.
        args: the modules.

    Raises:
        ValueError: an unknown step mode, a child in step mode `'m'`, or one that keeps state
            although `stateful` is false.
        TypeError: `stateful` is not a truth value.

    Example:
        >>> import torch
        >>> net = StepModeContainer(False, "m", torch.nn.Conv2d(1, 4, 3), torch.nn.BatchNorm2d(4))
        >>> net(torch.rand(2, 3, 1, 8, 8)).shape   # T=2, N=3
        torch.Size([2, 3, 4, 6, 6])
    """

    owns_children_step_mode = True

    def __init__(self, stateful: bool, step_mode: str | nn.Module = "s", *args: nn.Module) -> None:
        if not isinstance(stateful, bool):
            raise TypeError(
                f"StepModeContainer: stateful must be True or False, got {type(stateful).__name__}"
            )
        if isinstance(step_mode, nn.Module):
            step_mode, args = "s", (step_mode, *args)
        super().__init__(*args)
        self.stateful = stateful
        for child in self:
            require_single_step("StepModeContainer", child)
            if not stateful:
                require_stateless("StepModeContainer", child)
        self.step_mode = step_mode

    def __getitem__(self, idx: Any) -> Any:
        if isinstance(idx, slice):
            return StepModeContainer(self.stateful, self.step_mode, *list(self)[idx])
        return super().__getitem__(idx)

    def forward(self, input: Tensor) -> Any:
        one_step = super().forward
        if self.step_mode == "s":
            return one_step(input)
        run = multi_step_forward if self.stateful else seq_to_ann_forward
        return run(input, one_step)

    def extra_repr(self) -> str:
        return f"stateful={self.stateful}, step_mode={self.step_mode}"
