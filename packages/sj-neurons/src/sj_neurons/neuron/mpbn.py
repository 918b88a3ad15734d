"""Leaky integrate-and-fire with batch normalization of the membrane potential.

    h[t] = BN(g[t]),  g[t] the charge of `lif`             statistics per channel, over N (and H, W)
    s[t] = 1 where h[t] >= theta                           theta = v_threshold, or exp(a) if learned

After training the normalization can be folded into a threshold of its own for each channel,

    s[t] = 1 where sign(gamma) (g[t] - theta') >= 0,
    theta' = (theta - beta) sqrt(sigma2 + eps) / gamma + mu

with which the statistics mu, sigma2 can follow new data at test time. Reset: see `base`. The
statistics of a step mix all samples and pixels of a channel: this is no scalar recurrence.

Source: Guo et al., "Membrane potential batch normalization for spiking neural networks", ICCV 2023.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from .._arguments import checked_count, checked_number
from ..surrogate import SurrogateFunction
from .lif import LIFNode

__all__ = ["MPBNLIFNode"]


class MPBNLIFNode(LIFNode):
    """Leaky integrate-and-fire neuron that normalizes its potential before it fires.

    No scalar recurrence: the statistics of a step mix all samples and pixels of a channel.

    Args:
        tau: membrane time constant in steps, greater than 1.
        decay_input: whether the input is divided by `tau` like the leak.
        v_threshold, v_reset, surrogate_function, detach_reset, step_mode, backend, store_v_seq:
            see :class:`BaseNode`.
        mpbn: whether to normalize.
        out_features: number of channels of inputs `[N, C]`; or
        out_channels: number of channels of inputs `[N, C, H, W]`. Exactly one of the two.
        learnable_vth: learn a threshold exp(a) per channel, from 1 on, instead of `v_threshold`;
            a soft reset subtracts it, too.
        bn_momentum: weight of a new batch in mu and sigma2, after folding with `running_stats`.
        bn_decay_momentum: factor on that weight from one step to the next.
        bn_min_momentum: least weight.

    Raises:
        ValueError: both or none of `out_features` and `out_channels`; a rank that does not fit.
    """

    waivers: ClassVar[dict[str, str]] = {}

    mu: Tensor | None
    sigma2: Tensor | None

    def __init__(
        self,
        tau: float = 2.0,
        decay_input: bool = False,
        v_threshold: float | Tensor = 1.0,
        v_reset: float | None = 0.0,
        surrogate_function: SurrogateFunction | Callable[[Tensor], Tensor] | None = None,
        detach_reset: bool = False,
        step_mode: str = "s",
        backend: str | None = None,
        store_v_seq: bool = False,
        mpbn: bool = True,
        out_features: int | None = None,
        out_channels: int | None = None,
        learnable_vth: bool = False,
        bn_momentum: float = 0.1,
        bn_decay_momentum: float = 0.94,
        bn_min_momentum: float = 0.005,
    ) -> None:
        super().__init__(
            tau,
            decay_input,
            v_threshold,
            v_reset,
            surrogate_function,
            detach_reset,
            step_mode,
            backend,
            store_v_seq,
        )
        if (out_features is None) == (out_channels is None):
            raise ValueError(
                "MPBNLIFNode: give exactly one of out_features (inputs [N, C]) and out_channels "
                f"(inputs [N, C, H, W]), got {out_features} and {out_channels}"
            )
        self.is_planar = out_features is None
        if out_features is None:
            channels = checked_count("MPBNLIFNode", "out_channels", out_channels)
        else:
            channels = checked_count("MPBNLIFNode", "out_features", out_features)
        norm = nn.BatchNorm2d if self.is_planar else nn.BatchNorm1d
        self.vbn: nn.Module = norm(channels) if mpbn else nn.Identity()
        self.learnable_vth = learnable_vth
        self.a = nn.Parameter(torch.zeros(channels)) if learnable_vth else None
        self.bn_momentum = checked_number("MPBNLIFNode", "bn_momentum", bn_momentum)
        self.bn_decay_momentum = checked_number(
            "MPBNLIFNode", "bn_decay_momentum", bn_decay_momentum
        )
        self.bn_min_momentum = checked_number("MPBNLIFNode", "bn_min_momentum", bn_min_momentum)
        self.register_buffer("mu", None)
        self.register_buffer("sigma2", None)
        self.gamma: nn.Parameter | None = None
        self.beta: nn.Parameter | None = None
        self.eps = 0.0
        self.fold_bn = False
        self.normalize_residual = False
        self.running_stats = False

    @property
    def supported_backends(self) -> tuple[str, ...]:
        return ("torch",)

    # the step

    def charge(self, x: Any, v: Any) -> Any:
        h = super().charge(x, v)
        if h.dim() != (4 if self.is_planar else 2):
            expected = "[N, C, H, W]" if self.is_planar else "[N, C]"
            raise ValueError(
                f"MPBNLIFNode: expected an input {expected} per step, got {tuple(h.shape)}"
            )
        h = self.vbn(h)
        if self.fold_bn and self.training:
            self._follow_statistics(h.detach())
        return h

    def fire(self, h: Any) -> Any:
        if not self.fold_bn:
            return self.surrogate_function(h - self.threshold())
        above = h - self._per_channel(self.folded_threshold())
        gamma = self._per_channel(self._folded()[2])
        # a negative gamma turns the order of potentials around
        return self.surrogate_function(torch.where(gamma < 0, -above, above))

    def voltage_reset(self, h: Any, spike: Any) -> Any:
        if self.normalize_residual:
            h = self._normalized(h)
        if self.detach_reset:
            spike = spike.detach()
        if self.v_reset is None:
            return h - spike * self.threshold()
        return (1.0 - spike) * h + spike * self.v_reset

    def threshold(self) -> float | Tensor:
        """The threshold of the normalized potential: a number, or one per channel."""
        return self._per_channel(self.a.exp()) if self.a is not None else self.v_threshold

    # folding

    def re_parameterize_v_threshold(
        self, normalize_residual: bool = False, running_stats: bool = False
    ) -> None:
        """Fold the normalization into the threshold; without one, nothing happens.

        Afterwards `gamma` and `beta` are parameters of the node, and in training mode (not in
        evaluation) each step sets `mu` and `sigma2` to those of its batch. A learned threshold is
        learned no more. The names in `state_dict` change: fold before loading a folded one.

        Args:
            normalize_residual: keep the normalized potential in v, which makes the folded neuron
                equal to the one before in evaluation; otherwise v holds the potential itself.
            running_stats: let `mu` and `sigma2` follow the batches slowly, by `bn_momentum`.
        """
        vbn = self.vbn
        if not isinstance(vbn, nn.BatchNorm1d | nn.BatchNorm2d):
            return
        if self.a is not None:
            self.a.requires_grad_(False)
            self.learnable_vth = False
        self.mu, self.sigma2 = vbn.running_mean, vbn.running_var
        self.gamma, self.beta, self.eps = vbn.weight, vbn.bias, vbn.eps
        self.vbn = nn.Identity()
        self.fold_bn = True
        self.normalize_residual = normalize_residual
        self.running_stats = running_stats

    def folded_threshold(self) -> Tensor:
        """The threshold `[C]` of the potential itself, once the normalization is folded.

        Raises:
            RuntimeError: it is not folded.
        """
        mu, sigma2, gamma, beta = self._folded()
        theta = self.a.exp() if self.a is not None else self.v_threshold
        return (theta - beta) * (sigma2 + self.eps).sqrt() / gamma + mu

    def _folded(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        if self.mu is None or self.sigma2 is None or self.gamma is None or self.beta is None:
            raise RuntimeError("MPBNLIFNode: call re_parameterize_v_threshold() first")
        return self.mu, self.sigma2, self.gamma, self.beta

    def _normalized(self, h: Tensor) -> Tensor:
        mu, sigma2, gamma, beta = map(self._per_channel, self._folded())
        return (h - mu) / (sigma2 + self.eps).sqrt() * gamma + beta

    def _follow_statistics(self, h: Tensor) -> None:
        over = (0, 2, 3) if self.is_planar else (0,)
        if math.prod(h.shape[dim] for dim in over) == 1:
            return  # one value has no variance
        mu, sigma2 = h.mean(over), h.var(over)
        if self.running_stats:
            weight = self.bn_momentum
            old_mu, old_sigma2, *_ = self._folded()
            mu = old_mu * (1 - weight) + mu * weight
            sigma2 = old_sigma2 * (1 - weight) + sigma2 * weight
            self.bn_momentum = max(weight * self.bn_decay_momentum, self.bn_min_momentum)
        self.mu, self.sigma2 = mu, sigma2

    def _per_channel(self, value: Tensor) -> Tensor:
        return value.view(-1, 1, 1) if self.is_planar else value

    def extra_repr(self) -> str:
        return (
            f"{super().extra_repr()}, learnable_vth={self.learnable_vth}, fold_bn={self.fold_bn}, "
            f"bn_momentum={self.bn_momentum}, bn_decay_momentum={self.bn_decay_momentum}, "
            f"bn_min_momentum={self.bn_min_momentum}"
        )
