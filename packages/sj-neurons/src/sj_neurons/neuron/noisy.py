"""Neurons with coloured noise, for exploration in reinforcement learning.

    spiking       x'[t] = x[t] + sigma e_v[t],  output s[t] + sigma e_s[t]
    non-spiking   x'[t] = x[t] + sigma e[t],    sigma learned, one per neuron

sigma starts at sigma_init / sqrt(number of neurons); e has variance 1 and a spectrum 1 / f^beta
along all steps of all calls for which it was drawn, independently per neuron. The reset follows the
spike without noise; an intra-layer connection passes on the spike with it. The other equations are
those of `inter_layer` and `non_spiking`.

How it is used: `reset_noise(n)` before an episode draws the noise of n calls, and each call uses
the next piece. `get_colored_noise()` after a call is what it used, `[T, channels]`, to be kept
beside the experience. For a replay, `load_colored_noise` takes a batch of such, `[N, T, channels]`,
until `cancel_load`. Channels are the neurons, and for spiking ones the neurons twice: input noise,
then output noise.

Noise is used while `is_training` is true, whatever `.train()` and `.eval()` say. It is not state
between steps: `reset()` leaves it alone, the functional form uses it up as any call does, and it
does not enter `state_dict()`.

Source: Chen, Peng, Huang, Tian, "Noisy spiking actor network for exploration", 2024.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from .._arguments import checked_count, checked_number
from ..surrogate import SurrogateFunction
from ._checks import checked_sequence
from ._colored_noise import ColoredNoise
from ._from_rest import CubaDynamics, FromRestNode
from .inter_layer import population_connection
from .non_spiking import NonSpikingBaseNode

__all__ = [
    "NoisyBaseNode",
    "NoisyCUBALIFNode",
    "NoisyILCBaseNode",
    "NoisyILCCUBALIFNode",
    "NoisyNonSpikingBaseNode",
    "NoisyNonSpikingIFNode",
]


class _Noisy:
    """The methods by which noise is drawn, read and given."""

    noise: ColoredNoise

    def reset_noise(self, num_rl_step: int, generator: torch.Generator | None = None) -> None:
        """Draw new noise for `num_rl_step` calls, with `generator` for reproducibility."""
        self.noise.draw(num_rl_step, generator)

    def get_colored_noise(self) -> Tensor:
        """The noise `[T, channels]` of the last call with drawn noise.

        Raises:
            RuntimeError: there was none since :meth:`reset_noise`.
        """
        return self.noise.present()

    def load_colored_noise(self, cn: Tensor) -> None:
        """Use the noise `cn`, `[N, T, channels]` with N of the input or 1, from now on.

        Raises:
            ValueError: another shape.
        """
        self.noise.load(cn)

    def cancel_load(self) -> None:
        """Go back from loaded to drawn noise."""
        self.noise.cancel()


def _checked_sigma(owner: str, sigma_init: float, num_node: int) -> float:
    sigma = checked_number(owner, "sigma_init", sigma_init)
    if not 0 <= sigma < math.inf:
        raise ValueError(f"{owner}: sigma_init must be at least 0 and finite, got {sigma_init}")
    return sigma / math.sqrt(num_node)


class NoisyBaseNode(_Noisy, FromRestNode):
    """Spiking neurons with noise; subclasses define `charge`. Step mode `'m'` only, from rest.

    No scalar recurrence: every step adds noise drawn ahead to inputs and outputs.

    Input and output are `[T, N, num_node]`.

    Args:
        num_node: number of neurons.
        is_training: whether noise is added.
        T: time steps per call, fixed.
        sigma_init: strength of the noise, at least 0; see the module's text.
        beta: exponent of the spectrum; 0 is white, 1 pink, 2 red.
        v_threshold, v_reset: see :class:`BaseNode`; `v_reset=None` is a soft reset from 0.
        surrogate_function: spike function with surrogate gradient; a new `Rect()` if `None`.

    Raises:
        RuntimeError: on a call with `is_training` when no drawn or loaded noise is left.
    """

    waivers: ClassVar[dict[str, str]] = {
        "modes": "every call is a sequence from rest, so there is no mode 's'"
    }

    def __init__(
        self,
        num_node: int,
        is_training: bool = True,
        T: int = 5,
        sigma_init: float = 0.5,
        beta: float = 0.0,
        v_threshold: float = 0.5,
        v_reset: float | None = 0.0,
        surrogate_function: SurrogateFunction | Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        owner = type(self).__name__
        num_node = checked_count(owner, "num_node", num_node)
        super().__init__(num_node, v_threshold, v_reset, surrogate_function)
        self.is_training = is_training
        self.sigma_v = self.sigma_s = _checked_sigma(owner, sigma_init, num_node)
        self.noise = ColoredNoise(owner, 2 * num_node, T, beta)

    @property
    def T(self) -> int:
        """Time steps per call."""
        return self.noise.T

    @property
    def beta(self) -> float:
        """Exponent of the noise's spectrum."""
        return self.noise.beta

    def multi_step_forward(self, x_seq: Tensor) -> Tensor:
        x_seq = self.checked_input(x_seq, self.T)
        if not self.is_training:
            return self.run_from_rest(x_seq)
        into_input, into_output = self.noise.next_for(x_seq).split(self.num_node, dim=2)
        return self.run_from_rest(
            x_seq,
            (self.sigma_v * into_input).unbind(0),
            (self.sigma_s * into_output).unbind(0),
        )

    def extra_repr(self) -> str:
        return (
            f"num_node={self.num_node}, is_training={self.is_training}, T={self.T}, "
            f"beta={self.beta}, {super().extra_repr()}"
        )


class NoisyILCBaseNode(NoisyBaseNode):
    """Noisy spiking neurons with intra-layer connections; subclasses define `charge`.

    No scalar recurrence: noise is added, and the input depends on the outputs of the population.

    Input and output are `[T, N, act_dim * dec_pop_dim]`; step mode `'m'` only, from rest.

    Args:
        act_dim: number of populations.
        dec_pop_dim: number of neurons per population.
        is_training, T, sigma_init, beta: see :class:`NoisyBaseNode`.
        v_threshold, v_reset, surrogate_function: see :class:`NoisyBaseNode`.
    """

    def __init__(
        self,
        act_dim: int,
        dec_pop_dim: int,
        is_training: bool = True,
        T: int = 5,
        sigma_init: float = 0.5,
        beta: float = 0.0,
        v_threshold: float = 1.0,
        v_reset: float | None = 0.0,
        surrogate_function: SurrogateFunction | Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        owner = type(self).__name__
        act_dim = checked_count(owner, "act_dim", act_dim)
        dec_pop_dim = checked_count(owner, "dec_pop_dim", dec_pop_dim)
        width = act_dim * dec_pop_dim
        super().__init__(
            width, is_training, T, sigma_init, beta, v_threshold, v_reset, surrogate_function
        )
        self.act_dim = act_dim
        self.dec_pop_dim = dec_pop_dim
        self.conn = population_connection(act_dim, dec_pop_dim)

    def feedback(self, output: Tensor) -> Tensor:
        return self.conn(output.view(-1, self.act_dim, self.dec_pop_dim)).flatten(1)

    def extra_repr(self) -> str:
        return f"act_dim={self.act_dim}, dec_pop_dim={self.dec_pop_dim}, {super().extra_repr()}"


class NoisyCUBALIFNode(CubaDynamics, NoisyBaseNode):
    """Current-based leaky integrate-and-fire neurons with noise.

    No scalar recurrence: every step adds noise drawn ahead to inputs and outputs.

    Args:
        num_node: number of neurons.
        c_decay: what is left of the synaptic current after a step, in [0, 1].
        v_decay: what is left of the potential after a step, in [0, 1].
        is_training, T, sigma_init, beta: see :class:`NoisyBaseNode`.
        v_threshold, v_reset, surrogate_function: see :class:`NoisyBaseNode`.
    """

    def __init__(
        self,
        num_node: int,
        c_decay: float = 0.5,
        v_decay: float = 0.75,
        is_training: bool = True,
        T: int = 5,
        sigma_init: float = 0.5,
        beta: float = 0.0,
        v_threshold: float = 0.5,
        v_reset: float | None = 0.0,
        surrogate_function: SurrogateFunction | Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        super().__init__(
            num_node, is_training, T, sigma_init, beta, v_threshold, v_reset, surrogate_function
        )
        self.set_decays(c_decay, v_decay)


class NoisyILCCUBALIFNode(CubaDynamics, NoisyILCBaseNode):
    """Current-based leaky integrate-and-fire neurons with intra-layer connections and noise.

    No scalar recurrence: noise is added, and the input depends on the outputs of the population.

    Args:
        act_dim: number of populations.
        dec_pop_dim: number of neurons per population.
        c_decay: what is left of the synaptic current after a step, in [0, 1].
        v_decay: what is left of the potential after a step, in [0, 1].
        is_training, T, sigma_init, beta: see :class:`NoisyBaseNode`.
        v_threshold, v_reset, surrogate_function: see :class:`NoisyBaseNode`.
    """

    def __init__(
        self,
        act_dim: int,
        dec_pop_dim: int,
        c_decay: float = 0.5,
        v_decay: float = 0.75,
        is_training: bool = True,
        T: int = 5,
        sigma_init: float = 0.5,
        beta: float = 0.0,
        v_threshold: float = 1.0,
        v_reset: float | None = 0.0,
        surrogate_function: SurrogateFunction | Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        super().__init__(
            act_dim,
            dec_pop_dim,
            is_training,
            T,
            sigma_init,
            beta,
            v_threshold,
            v_reset,
            surrogate_function,
        )
        self.set_decays(c_decay, v_decay)


class NoisyNonSpikingBaseNode(_Noisy, NonSpikingBaseNode):
    """Readout with noise on its input; subclasses define `charge`. Step mode `'m'` only.

    No scalar recurrence: every step adds noise drawn ahead to inputs and outputs.

    Input `[T, N, num_node]`; the parameter `sigma` `[num_node]` is the strength of the noise.

    Args:
        num_node: number of neurons.
        is_training: whether noise is added.
        T: time steps per call, fixed.
        sigma_init: strength of the noise before training, at least 0; see the module's text.
        beta: exponent of the spectrum; 0 is white, 1 pink, 2 red.
        decode: what to return of the potentials; see :class:`NonSpikingBaseNode`.

    Raises:
        RuntimeError: on a call with `is_training` when no drawn or loaded noise is left.
    """

    def __init__(
        self,
        num_node: int,
        is_training: bool = True,
        T: int = 5,
        sigma_init: float = 0.5,
        beta: float = 0.0,
        decode: str | None = None,
    ) -> None:
        super().__init__(decode)
        owner = type(self).__name__
        self.num_node = checked_count(owner, "num_node", num_node)
        self.is_training = is_training
        sigma = _checked_sigma(owner, sigma_init, self.num_node)
        self.sigma = nn.Parameter(torch.full((self.num_node,), sigma))
        self.noise = ColoredNoise(owner, self.num_node, T, beta)

    @property
    def T(self) -> int:
        """Time steps per call."""
        return self.noise.T

    @property
    def beta(self) -> float:
        """Exponent of the noise's spectrum."""
        return self.noise.beta

    def multi_step_forward(self, x_seq: Tensor) -> Tensor | list[Tensor]:
        owner = type(self).__name__
        x_seq = checked_sequence(owner, x_seq, self.T)
        if x_seq.dim() != 3 or x_seq.shape[2] != self.num_node:
            raise ValueError(
                f"{owner}: expected an input [T, N, {self.num_node}], got shape "
                f"{tuple(x_seq.shape)}"
            )
        if self.is_training:
            x_seq = x_seq + self.sigma * self.noise.next_for(x_seq)
        return self.read_out(x_seq.unbind(0))

    def extra_repr(self) -> str:
        return (
            f"num_node={self.num_node}, is_training={self.is_training}, T={self.T}, "
            f"beta={self.beta}, {super().extra_repr()}"
        )


class NoisyNonSpikingIFNode(NoisyNonSpikingBaseNode):
    """Integrator without leak and with noise, as a readout; arguments as in the base.

    No scalar recurrence: every step adds noise drawn ahead to inputs and outputs.
    """

    def charge(self, x: Any, v: Any) -> Any:
        return v + x
