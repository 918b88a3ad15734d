"""Spiking LSTM: all gates are spikes, and the cell state counts to 1.

i, f, g, o = s(W_ih x[t] + b_ih + W_hh h[t-1] + b_hh)          s is 1 from 0 on, else 0
c[t] = min(f c[t-1] + i g, 1)          the gradient is that without min
h[t] = o c[t]

Source: Lotfi Rezaabad, Vishwanath, "Long short-term memory spiking networks and their
applications", ICONS 2020.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from .base import SpikingRNNBase
from .cell import SpikingRNNCellBase, Surrogate, checked_surrogates

__all__ = ["SpikingLSTM", "SpikingLSTMCell"]


class SpikingLSTMCell(SpikingRNNCellBase):
    """One step of a spiking LSTM: `h, c = cell(x, (h, c))`.

    Args:
        input_size, hidden_size, bias: see :class:`SpikingRNNCellBase`.
        surrogate_function1: spike function of the gates; a new `Erf()` if `None`.
        surrogate_function2: spike function of the gate g; `surrogate_function1` if `None`.

    Raises:
        TypeError, ValueError: see :class:`SpikingRNNCellBase`; also one function spikes and the
            other does not.

    Example:
        >>> import torch
        >>> cell = SpikingLSTMCell(3, 4)
        >>> h, c = cell(torch.rand(2, 3))          # N=2
        >>> h, c = cell(torch.rand(2, 3), (h, c))
        >>> h.shape
        torch.Size([2, 4])
    """

    gates = 4
    state_names = ("h", "c")

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        surrogate_function1: Surrogate | None = None,
        surrogate_function2: Surrogate | None = None,
    ) -> None:
        super().__init__(input_size, hidden_size, bias)
        self.surrogate_function1, self.surrogate_function2 = checked_surrogates(
            type(self).__name__, surrogate_function1, surrogate_function2
        )

    def step(self, projected: Tensor, states: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        h, c = states
        i, f, g, o = self._gates(projected + self.linear_hh(h))
        c = f * c + i * g
        # the excess is taken off without a gradient
        c = c - (c.detach() - 1.0).clamp(min=0.0)
        return o * c, c

    def _gates(self, u: Tensor) -> tuple[Tensor, ...]:
        if self.surrogate_function2 is None:
            return self.surrogate_function1(u).chunk(4, dim=1)
        i, f, g, o = u.chunk(4, dim=1)
        spike = self.surrogate_function1
        return spike(i), spike(f), self.surrogate_function2(g), spike(o)


class SpikingLSTM(SpikingRNNBase):
    """Layers of :class:`SpikingLSTMCell` over a sequence: `y, (h, c) = rnn(x)`.

    Args:
        input_size, hidden_size, num_layers, bias, dropout_p, invariant_dropout_mask, bidirectional:
            see :class:`SpikingRNNBase`.
        surrogate_function1, surrogate_function2: see :class:`SpikingLSTMCell`; all cells share
            them.

    Raises:
        TypeError, ValueError: see :class:`SpikingRNNBase` and :class:`SpikingLSTMCell`.

    Example:
        >>> import torch
        >>> rnn = SpikingLSTM(3, 4, num_layers=1, bidirectional=True)
        >>> y, (h, c) = rnn(torch.rand(5, 2, 3))   # T=5, N=2
        >>> y.shape, h.shape
        (torch.Size([5, 2, 8]), torch.Size([2, 2, 4]))
    """

    cell = SpikingLSTMCell

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int,
        bias: bool = True,
        dropout_p: float = 0,
        invariant_dropout_mask: bool = False,
        bidirectional: bool = False,
        surrogate_function1: Surrogate | None = None,
        surrogate_function2: Surrogate | None = None,
    ) -> None:
        super().__init__(
            input_size,
            hidden_size,
            num_layers,
            bias,
            dropout_p,
            invariant_dropout_mask,
            bidirectional,
            (surrogate_function1, surrogate_function2),
        )
