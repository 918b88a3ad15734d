"""Population encoding: each number of an observation excites its own population of neurons.

a_ij = exp(-((o_i - mean_ij) / std_ij)^2 / 2)       neuron j of the population of number i

deterministic   integrate-and-fire neurons with soft reset and threshold 0.999 get a at every step
random          out[t] = 1 with probability a, else 0
raw             out[t] = a

Spikes carry the gradient of the identity to a, and so to `mean`, `std` and the observation.

Source: Tang et al., "Deep reinforcement learning with population-coded spiking neural network for
continuous control", CoRL 2020.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from sj_neurons.base import StepModule
from sj_neurons.neuron import IFNode
from sj_neurons.surrogate import DeterministicPass

from .._arguments import checked_count, checked_positive
from ._values import checked_generator, generator_for

__all__ = ["PopEncoder", "PopSpikeEncoderDeterministic", "PopSpikeEncoderRandom"]


class _PopulationEncoder(nn.Module, StepModule):
    """Gaussian receptive fields; subclasses turn their activity into `spike_ts` steps."""

    # one observation makes a whole sequence in both step modes
    owns_children_step_mode: ClassVar[bool] = True

    def __init__(
        self, obs_dim: int, pop_dim: int, spike_ts: int, mean_range: Sequence[float], std: float
    ) -> None:
        super().__init__()
        owner = type(self).__name__
        self.obs_dim = checked_count(owner, "obs_dim", obs_dim)
        self.pop_dim = checked_count(owner, "pop_dim", pop_dim)
        self.spike_ts = checked_count(owner, "spike_ts", spike_ts)
        low, high = _checked_range(owner, mean_range)
        centres = torch.linspace(low, high, self.pop_dim).expand(1, self.obs_dim, self.pop_dim)
        self.mean = nn.Parameter(centres.clone())
        self.std = nn.Parameter(torch.full_like(centres, checked_positive(owner, "std", std)))

    @property
    def encoder_neuron_num(self) -> int:
        """Neurons of all populations together."""
        return self.obs_dim * self.pop_dim

    def activity(self, obs: Tensor) -> Tensor:
        """Activity `[N, obs_dim * pop_dim]` of the observations `[N, obs_dim]`."""
        if obs.dim() == 0 or obs.shape[-1] != self.obs_dim:
            raise ValueError(
                f"{type(self).__name__}: expected observations [N, {self.obs_dim}], got shape "
                f"{tuple(obs.shape)}"
            )
        distance = (obs.reshape(-1, self.obs_dim, 1) - self.mean) / self.std
        return torch.exp(-0.5 * distance.square()).flatten(1)

    def activity_seq(self, obs: Tensor) -> Tensor:
        """The activity at every step, `[spike_ts, N, obs_dim * pop_dim]`, without copies."""
        activity = self.activity(obs)
        return activity.expand(self.spike_ts, *activity.shape)

    def extra_repr(self) -> str:
        return f"obs_dim={self.obs_dim}, pop_dim={self.pop_dim}, spike_ts={self.spike_ts}"


def _checked_range(owner: str, mean_range: Sequence[float]) -> tuple[float, float]:
    try:
        low, high = (float(end) for end in mean_range)
    except (TypeError, ValueError):
        raise TypeError(
            f"{owner}: mean_range must be two numbers (low, high), got {mean_range!r}"
        ) from None
    if not (math.isfinite(low) and math.isfinite(high)):
        raise ValueError(f"{owner}: mean_range must be finite, got {mean_range!r}")
    return low, high


class PopSpikeEncoderDeterministic(_PopulationEncoder):
    """Population activity as the spikes of integrate-and-fire neurons.

    Observations `[N, obs_dim]`, output `[spike_ts, N, obs_dim * pop_dim]`. The neurons are the
    child `neurons`, and keep their potentials from call to call until they are reset.

    Args:
        obs_dim: numbers per observation.
        pop_dim: neurons per number.
        spike_ts: steps per observation.
        mean_range: least and greatest centre; the parameter `mean` starts evenly spaced from one
            to the other.
        std: width that the parameter `std` starts with, greater than 0.

    Raises:
        TypeError, ValueError: an argument of the wrong kind or out of range; on a call: another
            number of numbers per observation.

    Example:
        >>> import torch
        >>> encoder = PopSpikeEncoderDeterministic(1, 3, 4, mean_range=(-1.0, 1.0), std=1.0)
        >>> encoder(torch.tensor([[0.0]])).sum(0).tolist()   # spikes of the 3 neurons in 4 steps
        [[2.0, 4.0, 2.0]]
    """

    def __init__(
        self, obs_dim: int, pop_dim: int, spike_ts: int, mean_range: Sequence[float], std: float
    ) -> None:
        super().__init__(obs_dim, pop_dim, spike_ts, mean_range, std)
        self.neurons = IFNode(
            v_threshold=0.999,
            v_reset=None,
            surrogate_function=DeterministicPass(),
            detach_reset=True,
            step_mode="m",
        )

    def forward(self, obs: Tensor) -> Tensor:
        return self.neurons(self.activity_seq(obs))


class PopSpikeEncoderRandom(_PopulationEncoder):
    """Population activity as the probability of a spike.

    Observations `[N, obs_dim]`, output `[spike_ts, N, obs_dim * pop_dim]`. `torch.compile` takes it
    without a generator only.

    Args:
        obs_dim, pop_dim, spike_ts, mean_range, std: see :class:`PopSpikeEncoderDeterministic`.
        generator: where random numbers come from; torch's global generator if `None`. It must be
            on the device of the observation.

    Raises:
        TypeError, ValueError: see :class:`PopSpikeEncoderDeterministic`; also `generator` is
            something else, or on a call is on another device than the observation.
    """

    def __init__(
        self,
        obs_dim: int,
        pop_dim: int,
        spike_ts: int,
        mean_range: Sequence[float],
        std: float,
        *,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__(obs_dim, pop_dim, spike_ts, mean_range, std)
        self.generator = checked_generator(type(self).__name__, generator)

    def forward(self, obs: Tensor) -> Tensor:
        generator = generator_for(type(self).__name__, self.generator, obs)
        activity_seq = self.activity_seq(obs)
        spike = torch.bernoulli(activity_seq.detach(), generator=generator)
        # the gradient of the identity; the bracket is exactly 0
        return spike + (activity_seq - activity_seq.detach())


class PopEncoder(_PopulationEncoder):
    """Population activity itself, repeated at every step.

    Observations `[N, obs_dim]`, output `[spike_ts, N, obs_dim * pop_dim]`, of which all steps share
    memory: layers of this package then compute them once. Call `.clone()` to write into it.

    Args:
        obs_dim, pop_dim, spike_ts, mean_range, std: see :class:`PopSpikeEncoderDeterministic`.

    Raises:
        TypeError, ValueError: see :class:`PopSpikeEncoderDeterministic`.
    """

    def forward(self, obs: Tensor) -> Tensor:
        return self.activity_seq(obs)
