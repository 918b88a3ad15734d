"""Neurons trained by differentiation on spike representation: the gradient is that of a rate.

    charge   IF    h[t] = v[t-1] + x[t]
             LIF   h[t] = b v[t-1] + (1 - b) x[t],  b = exp(-delta_t / tau)
    fire     s[t] = v_threshold where h[t] >= alpha v_threshold, else 0
    reset    v[t] = h[t] - s[t]
    output   IF s[t], LIF s[t] / delta_t

Backward, the sequence counts through its rate alone. With r the mean over time of x and q the mean
of the output's gradient g (LIF: weighted by exp(-(T - t) delta_t / tau), t = 1 ... T),

    IF    dx[t] = q         where 0 <= r <= v_threshold             else 0, the same for all t
          dv_threshold = scaling T sum of q over r > v_threshold
    LIF   dx[t] = q / tau   where 0 < r < v_threshold tau / delta_t else 0
          dv_threshold = scaling T delta_t sum of q over r > v_threshold tau / delta_t

A step is no scalar recurrence with a surrogate: its gradient needs the whole sequence.

Source: Meng et al., "Training high-performance low-latency spiking neural networks by
differentiation on spike representation", CVPR 2022.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from .._arguments import checked_count, checked_number
from ..base import MemoryModule, MultiStepModule
from ._checks import checked_sequence

__all__ = ["DSRIFNode", "DSRLIFNode"]


def _spikes(x_seq: Tensor, v_threshold: Tensor, alpha: float, keep: float, gain: float) -> Tensor:
    """Spikes of height `v_threshold`; the charge is `keep v + gain x`."""
    v = torch.zeros_like(x_seq[0])
    level = v_threshold.to(x_seq.dtype)
    spikes = []
    for x in x_seq.unbind(0):
        h = (v if keep == 1.0 else keep * v) + (x if gain == 1.0 else gain * x)
        spike = (h >= alpha * level).to(h) * level
        v = h - spike
        spikes.append(spike)
    return torch.stack(spikes)


class _RateGradient(torch.autograd.Function):
    """Spikes forwards, the gradient of a clamped rate backwards; IF."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x_seq: Tensor, v_threshold: Tensor, alpha: float, scaling: float) -> Tensor:
        return _spikes(x_seq, v_threshold, alpha, keep=1.0, gain=1.0)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        x_seq, v_threshold, _, ctx.scaling = inputs
        rate = x_seq.mean(0)
        # masks, not the threshold: it is clamped in place at the next call
        ctx.save_for_backward((rate >= 0) & (rate <= v_threshold), rate > v_threshold)
        ctx.threshold_dtype = v_threshold.dtype

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        linear, saturated = ctx.saved_tensors
        steps = grad_outputs[0].shape[0]
        mean = grad_outputs[0].mean(0)
        grad_x = (mean * linear).expand_as(grad_outputs[0])
        grad_threshold = (mean * saturated).sum() * steps * ctx.scaling
        return grad_x, grad_threshold.to(ctx.threshold_dtype), None, None


class _WeightedRateGradient(torch.autograd.Function):
    """Spikes forwards, the gradient of a clamped weighted rate backwards; LIF."""

    generate_vmap_rule = True

    @staticmethod
    def forward(
        x_seq: Tensor,
        v_threshold: Tensor,
        tau: float,
        delta_t: float,
        alpha: float,
        scaling: float,
    ) -> Tensor:
        keep = math.exp(-delta_t / tau)
        return _spikes(x_seq, v_threshold, alpha, keep, 1.0 - keep) / delta_t

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        x_seq, v_threshold, ctx.tau, ctx.delta_t, _, ctx.scaling = inputs
        rate = _weighted_mean(x_seq, ctx.tau, ctx.delta_t)
        limit = v_threshold / ctx.delta_t * ctx.tau
        ctx.save_for_backward((rate > 0) & (rate < limit), rate > limit)
        ctx.threshold_dtype = v_threshold.dtype

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        linear, saturated = ctx.saved_tensors
        steps = grad_outputs[0].shape[0]
        mean = _weighted_mean(grad_outputs[0], ctx.tau, ctx.delta_t)
        grad_x = (mean * linear / ctx.tau).expand_as(grad_outputs[0])
        grad_threshold = (mean * saturated).sum() * steps * ctx.delta_t * ctx.scaling
        return grad_x, grad_threshold.to(ctx.threshold_dtype), None, None, None, None


def _weighted_mean(x_seq: Tensor, tau: float, delta_t: float) -> Tensor:
    """Mean over time in which later steps weigh more."""
    lag = torch.arange(x_seq.shape[0] - 1, -1, -1, dtype=torch.float64, device=x_seq.device)
    weight = torch.exp(-lag * delta_t / tau)
    return torch.tensordot((weight / weight.sum()).to(x_seq.dtype), x_seq, 1)


class _DSRNode(MultiStepModule, MemoryModule):
    """What both neurons share: a learnable threshold with a lower bound."""

    waivers: ClassVar[dict[str, str]] = {
        "modes": "the gradient is that of a rate over the whole sequence, so there is no mode 's'",
        "gradcheck": "the gradient is that of a rate, on purpose not that of the spikes",
    }

    def __init__(
        self,
        T: int,
        v_threshold: float,
        alpha: float,
        v_threshold_training: bool,
        v_threshold_grad_scaling: float,
        v_threshold_lower_bound: float,
        step_mode: str,
        backend: str | None,
    ) -> None:
        super().__init__()
        owner = type(self).__name__
        self.T = checked_count(owner, "T", T)
        self.alpha = checked_number(owner, "alpha", alpha)
        if not 0 < self.alpha <= 1:
            raise ValueError(f"{owner}: alpha must be in (0, 1], got {alpha}")
        bound = checked_number(owner, "v_threshold_lower_bound", v_threshold_lower_bound)
        if not bound > 0:
            raise ValueError(f"{owner}: v_threshold_lower_bound must be positive, got {bound}")
        start = checked_number(owner, "v_threshold", v_threshold)
        if not start >= bound:
            raise ValueError(
                f"{owner}: v_threshold must be at least v_threshold_lower_bound = {bound}, "
                f"got {v_threshold}"
            )
        self.v_threshold_lower_bound = bound
        self.v_threshold_grad_scaling = checked_number(
            owner, "v_threshold_grad_scaling", v_threshold_grad_scaling
        )
        self.v_threshold = nn.Parameter(torch.tensor(start), requires_grad=v_threshold_training)
        self.step_mode = step_mode
        self.backend = backend

    def _bounded_threshold(self) -> Tensor:
        with torch.no_grad():
            self.v_threshold.clamp_(min=self.v_threshold_lower_bound)
        return self.v_threshold

    def extra_repr(self) -> str:
        return (
            f"T={self.T}, alpha={self.alpha}, "
            f"v_threshold_grad_scaling={self.v_threshold_grad_scaling}, "
            f"v_threshold_lower_bound={self.v_threshold_lower_bound}, {super().extra_repr()}"
        )


class DSRIFNode(_DSRNode):
    """Integrate-and-fire neuron with a rate-based gradient; step mode `'m'` only, from rest.

    No scalar recurrence: the gradient is that of the rate over the whole sequence.

    The parameter `v_threshold` is lifted to its lower bound before each forward.

    Args:
        T: number of time steps, fixed.
        v_threshold: height of a spike before training, at least `v_threshold_lower_bound`.
        alpha: fires at `alpha * v_threshold`, in (0, 1].
        v_threshold_training: whether `v_threshold` is learned.
        v_threshold_grad_scaling: factor on the gradient of `v_threshold`.
        v_threshold_lower_bound: least `v_threshold`, positive.
        step_mode: `'m'`.
        backend: `'torch'`.
    """

    def __init__(
        self,
        T: int = 20,
        v_threshold: float = 6.0,
        alpha: float = 0.5,
        v_threshold_training: bool = True,
        v_threshold_grad_scaling: float = 1.0,
        v_threshold_lower_bound: float = 0.01,
        step_mode: str = "m",
        backend: str | None = None,
    ) -> None:
        super().__init__(
            T,
            v_threshold,
            alpha,
            v_threshold_training,
            v_threshold_grad_scaling,
            v_threshold_lower_bound,
            step_mode,
            backend,
        )

    def multi_step_forward(self, x_seq: Tensor) -> Tensor:
        x_seq = checked_sequence("DSRIFNode", x_seq, self.T)
        return _RateGradient.apply(  # pyright: ignore[reportReturnType]
            x_seq, self._bounded_threshold(), self.alpha, self.v_threshold_grad_scaling
        )


class DSRLIFNode(_DSRNode):
    """Leaky integrate-and-fire neuron with a rate-based gradient; step mode `'m'` only, from rest.

    No scalar recurrence: the gradient is that of the weighted rate over the whole sequence.

    The output is `v_threshold / delta_t` or 0. The parameter `v_threshold` is lifted to its lower
    bound before each forward.

    Args:
        T: number of time steps, fixed.
        v_threshold: height of a spike before training, at least `v_threshold_lower_bound`.
        tau: membrane time constant, in the unit of `delta_t`, positive.
        delta_t: length of a time step, positive.
        alpha: fires at `alpha * v_threshold`, in (0, 1].
        v_threshold_training: whether `v_threshold` is learned.
        v_threshold_grad_scaling: factor on the gradient of `v_threshold`.
        v_threshold_lower_bound: least `v_threshold`, positive.
        step_mode: `'m'`.
        backend: `'torch'`.
    """

    def __init__(
        self,
        T: int = 20,
        v_threshold: float = 1.0,
        tau: float = 2.0,
        delta_t: float = 0.05,
        alpha: float = 0.3,
        v_threshold_training: bool = True,
        v_threshold_grad_scaling: float = 1.0,
        v_threshold_lower_bound: float = 0.1,
        step_mode: str = "m",
        backend: str | None = None,
    ) -> None:
        super().__init__(
            T,
            v_threshold,
            alpha,
            v_threshold_training,
            v_threshold_grad_scaling,
            v_threshold_lower_bound,
            step_mode,
            backend,
        )
        self.tau = checked_number("DSRLIFNode", "tau", tau)
        self.delta_t = checked_number("DSRLIFNode", "delta_t", delta_t)
        for name, value in (("tau", self.tau), ("delta_t", self.delta_t)):
            if not value > 0:
                raise ValueError(f"DSRLIFNode: {name} must be positive, got {value}")

    def multi_step_forward(self, x_seq: Tensor) -> Tensor:
        x_seq = checked_sequence("DSRLIFNode", x_seq, self.T)
        return _WeightedRateGradient.apply(  # pyright: ignore[reportReturnType]
            x_seq,
            self._bounded_threshold(),
            self.tau,
            self.delta_t,
            self.alpha,
            self.v_threshold_grad_scaling,
        )

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, tau={self.tau}, delta_t={self.delta_t}"
