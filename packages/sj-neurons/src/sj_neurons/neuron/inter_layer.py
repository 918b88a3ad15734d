"""Intra-layer connections: spikes of a population come back to it one step later.

The `act_dim * dec_pop_dim` neurons form `act_dim` populations. The spikes of each population pass
through a learned linear map (a convolution of one group per population) into its next input:

    x'[t] = x[t] + conv(s[t-1]) + bias                     x'[1] = x[1]
    IF     h[t] = v[t-1] + x'[t]
    LIF    h[t] = v_decay v[t-1] + x'[t]
    CUBA   c[t] = c_decay c[t-1] + x'[t],  h[t] = v_decay v[t-1] + c[t]

Fire and reset: see `base`. Every call starts at rest, and the input is left as it is. A neuron
here depends on the spikes of its whole population: it is no recurrence of scalars.

Source: Chen, Peng, Huang, Tian, "Fully spiking actor network with intralayer connections for
reinforcement learning", IEEE Transactions on Neural Networks and Learning Systems 2024.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from torch import Tensor, nn

from .._arguments import checked_count
from ..surrogate import SurrogateFunction
from ._from_rest import CubaDynamics, FromRestNode, checked_decay

__all__ = ["ILCBaseNode", "ILCCUBALIFNode", "ILCIFNode", "ILCLIFNode", "population_connection"]


def population_connection(act_dim: int, dec_pop_dim: int) -> nn.Conv1d:
    """The map `[N, act_dim, dec_pop_dim] -> [N, act_dim * dec_pop_dim, 1]` of each population."""
    return nn.Conv1d(act_dim, act_dim * dec_pop_dim, dec_pop_dim, groups=act_dim)


class ILCBaseNode(FromRestNode):
    """Neurons with intra-layer connections; subclasses define `charge`. Step mode `'m'` only.

    No scalar recurrence: the input of a neuron depends on the spikes of its population.

    Input and output are `[T, N, act_dim * dec_pop_dim]`.

    Args:
        act_dim: number of populations.
        dec_pop_dim: number of neurons per population.
        v_threshold, v_reset: see :class:`BaseNode`; `v_reset=None` is a soft reset from 0.
        surrogate_function: spike function with surrogate gradient; a new `Rect()` if `None`.
    """

    waivers: ClassVar[dict[str, str]] = {
        "modes": "every call is a sequence from rest, so there is no mode 's'"
    }

    def __init__(
        self,
        act_dim: int,
        dec_pop_dim: int,
        v_threshold: float = 1.0,
        v_reset: float | None = 0.0,
        surrogate_function: SurrogateFunction | Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        owner = type(self).__name__
        act_dim = checked_count(owner, "act_dim", act_dim)
        dec_pop_dim = checked_count(owner, "dec_pop_dim", dec_pop_dim)
        super().__init__(act_dim * dec_pop_dim, v_threshold, v_reset, surrogate_function)
        self.act_dim = act_dim
        self.dec_pop_dim = dec_pop_dim
        self.conn = population_connection(act_dim, dec_pop_dim)

    @property
    def out_pop_dim(self) -> int:
        """Number of neurons, `act_dim * dec_pop_dim`."""
        return self.num_node

    def feedback(self, output: Tensor) -> Tensor:
        return self.conn(output.view(-1, self.act_dim, self.dec_pop_dim)).flatten(1)

    def extra_repr(self) -> str:
        return f"act_dim={self.act_dim}, dec_pop_dim={self.dec_pop_dim}, {super().extra_repr()}"


class ILCIFNode(ILCBaseNode):
    """Integrate-and-fire neurons with intra-layer connections; arguments as in the base.

    No scalar recurrence: the input of a neuron depends on the spikes of its population.

    Example:
        >>> import torch
        >>> ILCIFNode(act_dim=2, dec_pop_dim=3)(torch.rand(5, 4, 6)).shape   # T=5, N=4
        torch.Size([5, 4, 6])
    """

    def charge(self, x: Any, v: Any) -> Any:
        return v + x


class ILCLIFNode(ILCBaseNode):
    """Leaky integrate-and-fire neurons with intra-layer connections.

    No scalar recurrence: the input of a neuron depends on the spikes of its population.

    Args:
        act_dim: number of populations.
        dec_pop_dim: number of neurons per population.
        v_decay: what is left of the potential after a step, in [0, 1].
        v_threshold, v_reset, surrogate_function: see :class:`ILCBaseNode`.
    """

    def __init__(
        self,
        act_dim: int,
        dec_pop_dim: int,
        v_decay: float = 0.75,
        v_threshold: float = 1.0,
        v_reset: float | None = 0.0,
        surrogate_function: SurrogateFunction | Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        super().__init__(act_dim, dec_pop_dim, v_threshold, v_reset, surrogate_function)
        self.v_decay = checked_decay(type(self).__name__, "v_decay", v_decay)

    def charge(self, x: Any, v: Any) -> Any:
        return v * self.v_decay + x

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, v_decay={self.v_decay}"


class ILCCUBALIFNode(CubaDynamics, ILCBaseNode):
    """Current-based leaky integrate-and-fire neurons with intra-layer connections.

    No scalar recurrence: the input of a neuron depends on the spikes of its population.

    Args:
        act_dim: number of populations.
        dec_pop_dim: number of neurons per population.
        c_decay: what is left of the synaptic current after a step, in [0, 1].
        v_decay: what is left of the potential after a step, in [0, 1].
        v_threshold, v_reset, surrogate_function: see :class:`ILCBaseNode`; the threshold is 0.5 by
            default, as in :class:`CUBALIFNode`.
    """

    def __init__(
        self,
        act_dim: int,
        dec_pop_dim: int,
        c_decay: float = 0.5,
        v_decay: float = 0.75,
        v_threshold: float = 0.5,
        v_reset: float | None = 0.0,
        surrogate_function: SurrogateFunction | Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        super().__init__(act_dim, dec_pop_dim, v_threshold, v_reset, surrogate_function)
        self.set_decays(c_decay, v_decay)
