"""What spiking recurrent networks share: layers of cells over a sequence, in one or two directions.

Layer l turns its input x `[T, N, *]` into y `[T, N, hidden_size * directions]`, the input of layer
l + 1. The second direction runs from the last step to the first, and its outputs stand behind those
of the first direction.

State k = d num_layers + l belongs to direction d (0 forwards, 1 backwards) of layer l.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .._arguments import checked_count
from .cell import SpikingRNNCellBase, Surrogate, checked_states

__all__ = ["SpikingRNNBase"]


class SpikingRNNBase(nn.Module):
    """Base of the spiking recurrent networks; a subclass names its `cell`.

    Input x `[T, N, input_size]`; returns `(y, states)`, with y `[T, N, hidden_size * directions]`
    and each state `[num_layers * directions, N, hidden_size]`. Nothing is kept between calls: pass
    the states on to go on with a sequence, and detach them for truncated BPTT.

    Inputs of all steps are multiplied with the weights at once, so hooks of the cells themselves
    are not called; those of `linear_ih` are, once, and of the other parts at every step.

    Args:
        input_size: features of x.
        hidden_size: features of each state.
        num_layers: number of layers.
        bias: whether linear maps have a bias.
        dropout_p: probability of dropping an output between two layers in training, in [0, 1).
        invariant_dropout_mask: whether all steps of a call share one mask, drawn anew at each call;
            otherwise every step gets its own.
        bidirectional: whether there is a second direction.
        surrogate_functions: further arguments of the cell.

    Raises:
        TypeError: a size that is not a whole number.
        ValueError: a size below 1, or `dropout_p` out of range.
    """

    cell: ClassVar[type[SpikingRNNCellBase]]

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int,
        bias: bool = True,
        dropout_p: float = 0,
        invariant_dropout_mask: bool = False,
        bidirectional: bool = False,
        surrogate_functions: Sequence[Surrogate | None] = (),
    ) -> None:
        super().__init__()
        owner = type(self).__name__
        self.input_size = checked_count(owner, "input_size", input_size)
        self.hidden_size = checked_count(owner, "hidden_size", hidden_size)
        self.num_layers = checked_count(owner, "num_layers", num_layers)
        if not 0.0 <= dropout_p < 1.0:
            raise ValueError(f"{owner}: dropout_p must be in [0, 1), got {dropout_p}")
        self.bias = bias
        self.dropout_p = dropout_p
        self.invariant_dropout_mask = invariant_dropout_mask
        self.bidirectional = bidirectional
        self.cells = self._make_cells(surrogate_functions)
        if bidirectional:
            self.cells_reverse = self._make_cells(surrogate_functions)

    @property
    def directions(self) -> int:
        """1, or 2 if bidirectional."""
        return 2 if self.bidirectional else 1

    def _make_cells(self, surrogate_functions: Sequence[Surrogate | None]) -> nn.ModuleList:
        wide = self.hidden_size * self.directions
        sizes = [self.input_size] + [wide] * (self.num_layers - 1)
        return nn.ModuleList(
            self.cell(size, self.hidden_size, self.bias, *surrogate_functions) for size in sizes
        )

    def forward(
        self, x: Tensor, states: Tensor | Sequence[Tensor] | None = None
    ) -> tuple[Tensor, Tensor | tuple[Tensor, ...]]:
        """Outputs of the last layer at every step, and the states after the last step.

        Args:
            x: `[T, N, input_size]`.
            states: the states before the first step, as returned by a call; zeros if `None`.

        Raises:
            TypeError: states of the wrong number.
            ValueError: an input or a state of another shape, such as of another batch size.
        """
        self._check_input(x)
        names = self.cell.state_names
        shape = (self.num_layers * self.directions, x.shape[1], self.hidden_size)
        initial = checked_states(type(self).__name__, names, states, shape, x)
        before = list(zip(*(state.unbind(0) for state in initial), strict=True))
        after: list[Sequence[Tensor]] = list(before)
        y = x
        for layer, cells in enumerate(self._layers()):
            if layer > 0:
                y = self._dropped(y)
            outputs = []
            for direction, cell in enumerate(cells):
                k = direction * self.num_layers + layer
                output, after[k] = _run(cell, y, before[k], backwards=direction == 1)
                outputs.append(output)
            y = torch.cat(outputs, dim=-1) if self.bidirectional else outputs[0]
        final = tuple(torch.stack(state) for state in zip(*after, strict=True))
        return y, (final if len(names) > 1 else final[0])

    def _layers(self) -> list[tuple[SpikingRNNCellBase, ...]]:
        directions = [self.cells, self.cells_reverse] if self.bidirectional else [self.cells]
        return cast("list[tuple[SpikingRNNCellBase, ...]]", list(zip(*directions, strict=True)))

    def _check_input(self, x: Tensor) -> None:
        if x.dim() != 3 or x.shape[2] != self.input_size or x.shape[0] == 0:
            raise ValueError(
                f"{type(self).__name__}: expected x [T, N, {self.input_size}] with T > 0, "
                f"got shape {tuple(x.shape)}"
            )

    def _dropped(self, y: Tensor) -> Tensor:
        if not (self.training and self.dropout_p > 0):
            return y
        if self.invariant_dropout_mask:
            return y * F.dropout(y.new_ones(y.shape[1:]), self.dropout_p)
        return F.dropout(y, self.dropout_p)

    def extra_repr(self) -> str:
        return (
            f"{self.input_size}, {self.hidden_size}, num_layers={self.num_layers}, "
            f"bias={self.bias}, dropout_p={self.dropout_p}, "
            f"invariant_dropout_mask={self.invariant_dropout_mask}, "
            f"bidirectional={self.bidirectional}"
        )


def _run(
    cell: SpikingRNNCellBase, x: Tensor, states: Sequence[Tensor], backwards: bool
) -> tuple[Tensor, Sequence[Tensor]]:
    """All outputs of one cell over `x`, `[T, N, *]`, in the order of time, and its last states."""
    # unbind, not indexing: the gradient of p[t] is a zero tensor of the size of p for each t
    projected = cell.linear_ih(x).unbind(0)
    outputs = []
    for p in reversed(projected) if backwards else projected:
        states = cell.step(p, states)
        outputs.append(states[0])
    if backwards:
        outputs.reverse()
    return torch.stack(outputs), states
