"""Spiking GRU: both gates and the candidate are spikes.

r = s(p_r + u_r)          p = W_ih x[t] + b_ih,  u = W_hh h[t-1] + b_hh,  each in three parts
z = s(p_z + u_z)          s is 1 from 0 on, else 0
n = s(p_n + r u_n)
h[t] = (1 - z) n + z h[t-1]
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from .base import SpikingRNNBase
from .cell import SpikingRNNCellBase, Surrogate, checked_surrogates

__all__ = ["SpikingGRU", "SpikingGRUCell"]


class SpikingGRUCell(SpikingRNNCellBase):
    """One step of a spiking GRU: `h = cell(x, h)`.

    Args:
        input_size, hidden_size, bias: see :class:`SpikingRNNCellBase`.
        surrogate_function1: spike function of the gates; a new `Erf()` if `None`.
        surrogate_function2: spike function of the candidate n; `surrogate_function1` if `None`.

    Raises:
        TypeError, ValueError: see :class:`SpikingRNNCellBase`; also one function spikes and the
            other does not.

    Example:
        >>> import torch
        >>> cell = SpikingGRUCell(3, 4)
        >>> h = cell(torch.rand(2, 3))             # N=2
        >>> cell(torch.rand(2, 3), h).shape
        torch.Size([2, 4])
    """

    gates = 3

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

    def step(self, projected: Tensor, states: Sequence[Tensor]) -> tuple[Tensor]:
        (h,) = states
        sizes = [2 * self.hidden_size, self.hidden_size]
        p_gates, p_n = projected.split(sizes, dim=1)
        u_gates, u_n = self.linear_hh(h).split(sizes, dim=1)
        r, z = self.surrogate_function1(p_gates + u_gates).chunk(2, dim=1)
        candidate = self.surrogate_function2 or self.surrogate_function1
        n = candidate(p_n + r * u_n)
        return ((1.0 - z) * n + z * h,)


class SpikingGRU(SpikingRNNBase):
    """Layers of :class:`SpikingGRUCell` over a sequence: `y, h = rnn(x)`.

    Args:
        input_size, hidden_size, num_layers, bias, dropout_p, invariant_dropout_mask, bidirectional:
            see :class:`SpikingRNNBase`.
        surrogate_function1, surrogate_function2: see :class:`SpikingGRUCell`; all cells share
            them.

    Raises:
        TypeError, ValueError: see :class:`SpikingRNNBase` and :class:`SpikingGRUCell`.

    Example:
        >>> import torch
        >>> y, h = SpikingGRU(3, 4, num_layers=2)(torch.rand(5, 2, 3))   # T=5, N=2
        >>> y.shape, h.shape
        (torch.Size([5, 2, 4]), torch.Size([2, 2, 4]))
    """

    cell = SpikingGRUCell

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
