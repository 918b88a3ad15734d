"""Spiking vanilla RNN: the new state is the spike of what comes in.

h[t] = s(W_ih x[t] + b_ih + W_hh h[t-1] + b_hh)          s is 1 from 0 on, else 0
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from .base import SpikingRNNBase
from .cell import SpikingRNNCellBase, Surrogate, checked_surrogates

__all__ = ["SpikingVanillaRNN", "SpikingVanillaRNNCell"]


class SpikingVanillaRNNCell(SpikingRNNCellBase):
    """One step of a spiking vanilla RNN: `h = cell(x, h)`.

    Args:
        input_size, hidden_size, bias: see :class:`SpikingRNNCellBase`.
        surrogate_function: spike function with surrogate gradient; a new `Erf()` if `None`.

    Raises:
        TypeError, ValueError: see :class:`SpikingRNNCellBase`.

    Example:
        >>> import torch
        >>> cell = SpikingVanillaRNNCell(3, 4)
        >>> h = cell(torch.rand(2, 3))             # N=2
        >>> cell(torch.rand(2, 3), h).shape
        torch.Size([2, 4])
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        surrogate_function: Surrogate | None = None,
    ) -> None:
        super().__init__(input_size, hidden_size, bias)
        self.surrogate_function, _ = checked_surrogates(type(self).__name__, surrogate_function)

    def step(self, projected: Tensor, states: Sequence[Tensor]) -> tuple[Tensor]:
        (h,) = states
        return (self.surrogate_function(projected + self.linear_hh(h)),)


class SpikingVanillaRNN(SpikingRNNBase):
    """Layers of :class:`SpikingVanillaRNNCell` over a sequence: `y, h = rnn(x)`.

    Args:
        input_size, hidden_size, num_layers, bias, dropout_p, invariant_dropout_mask, bidirectional:
            see :class:`SpikingRNNBase`.
        surrogate_function: see :class:`SpikingVanillaRNNCell`; all cells share it.

    Raises:
        TypeError, ValueError: see :class:`SpikingRNNBase`.

    Example:
        >>> import torch
        >>> y, h = SpikingVanillaRNN(3, 4, num_layers=2)(torch.rand(5, 2, 3))   # T=5, N=2
        >>> y.shape, h.shape
        (torch.Size([5, 2, 4]), torch.Size([2, 2, 4]))
    """

    cell = SpikingVanillaRNNCell

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int,
        bias: bool = True,
        dropout_p: float = 0,
        invariant_dropout_mask: bool = False,
        bidirectional: bool = False,
        surrogate_function: Surrogate | None = None,
    ) -> None:
        super().__init__(
            input_size,
            hidden_size,
            num_layers,
            bias,
            dropout_p,
            invariant_dropout_mask,
            bidirectional,
            (surrogate_function,),
        )
