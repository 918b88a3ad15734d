"""What the plasticity rules share: traces over time, and correlations of spikes with traces.

`*` stands for any leading dimensions, such as `[N]` or `[T, N]`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import grad

__all__ = [
    "Correlation",
    "Decay",
    "Trace",
    "WeightFunction",
    "checked_tau",
    "convolution_correlation",
    "decay",
    "exponential_decay",
    "identity",
    "linear_correlation",
    "require_linear",
    "traces_of",
    "weight_change",
]

Trace = Tensor | float | None
WeightFunction = Callable[[Tensor], Tensor]
Correlation = Callable[[Tensor, Tensor], Tensor]
Decay = Callable[[Tensor, float], Tensor]


def identity(weight: Tensor) -> Tensor:
    """The default `f_pre` and `f_post`: a weight changes in proportion to itself."""
    return weight


def checked_tau(name: str, tau: float) -> float:
    """A time constant in steps, finite and greater than 0."""
    if not 0.0 < tau < math.inf:
        raise ValueError(f"{name} must be a finite number of steps greater than 0, got {tau}")
    return tau


def decay(trace: Tensor, tau: float) -> Tensor:
    """What STDP leaves of a trace after one step: tr - tr / tau."""
    return trace - trace / tau


def exponential_decay(trace: Tensor, tau: float) -> Tensor:
    """What reward-modulated STDP leaves of a trace after one step: tr exp(-1 / tau)."""
    return trace * math.exp(-1.0 / tau)


def traces_of(spike_seq: Tensor, trace: Trace, tau: float, left_of: Decay) -> Tensor:
    """The trace at each step of `spike_seq` `[T, *]`, that step's spikes included."""
    checked_tau("tau_pre and tau_post", tau)
    traces = []
    for spike in spike_seq.unbind(0):
        trace = left_of(_fitting(trace, spike), tau) + spike
        traces.append(trace)
    if not traces:
        raise ValueError(f"expected spikes [T, *] with T > 0, got shape {tuple(spike_seq.shape)}")
    return torch.stack(traces)


def _fitting(trace: Trace, spike: Tensor) -> Tensor:
    if not isinstance(trace, Tensor):
        return torch.full_like(spike, 0.0 if trace is None else trace)
    if trace.shape != spike.shape:
        raise ValueError(
            f"spikes {tuple(spike.shape)} do not match the trace {tuple(trace.shape)} of the "
            "previous step; reset the learner together with the net between sequences"
        )
    return trace.to(spike)


def linear_correlation(weight: Tensor) -> Correlation:
    """Makes `(post [*, out], pre [*, in]) -> [out, in]`, the sum over `*` of post_i pre_j."""

    def correlate(post: Tensor, pre: Tensor) -> Tensor:
        require_linear(pre, post, weight)
        return post.reshape(-1, weight.shape[0]).t() @ pre.reshape(-1, weight.shape[1])

    return correlate


def convolution_correlation(weight: Tensor, stride: Sequence[int]) -> Correlation:
    """Makes `(post [*, C_out, ...], pre [*, C_in, ...]) -> [C_out, C_in, ...]`, `pre` padded.

    The sum over `*` and the output positions is the gradient of the convolution to its kernel with
    `post` as the gradient of its output: one call of torch instead of a loop over positions.
    """
    inner = weight.dim() - 1
    kernel_gradient = grad.conv1d_weight if inner == 2 else grad.conv2d_weight

    def correlate(post: Tensor, pre: Tensor) -> Tensor:
        places = zip(pre.shape[1 - inner :], weight.shape[2:], stride, strict=True)
        expected = (*weight.shape[:1], *((size - k) // s + 1 for size, k, s in places))
        leading = pre.shape[:-inner]
        if pre.shape[-inner] != weight.shape[1] or post.shape != (*leading, *expected):
            axes = ", L" if inner == 2 else ", H, W"
            kinds = f"[*, C_in{axes}], [*, C_out{axes}] and [C_out, C_in, ...]"
            raise _misfit(pre, post, weight, kinds)
        batch = pre.reshape(-1, *pre.shape[-inner:]), post.reshape(-1, *post.shape[-inner:])
        return kernel_gradient(batch[0], weight.shape, batch[1], stride=tuple(stride))  # pyright: ignore[reportArgumentType]

    return correlate


def require_linear(pre: Tensor, post: Tensor, weight: Tensor) -> None:
    """Refuse spikes `[*, in]` and `[*, out]` that do not fit a weight `[out, in]`."""
    features = (*post.shape[-1:], *pre.shape[-1:])
    if pre.shape[:-1] != post.shape[:-1] or features != weight.shape:
        raise _misfit(pre, post, weight, "[*, in], [*, out] and [out, in]")


def _misfit(pre: Tensor, post: Tensor, weight: Tensor, expected: str) -> ValueError:
    shapes = ", ".join(str(tuple(x.shape)) for x in (pre, post, weight))
    return ValueError(f"expected input spikes, output spikes and weight {expected}, got {shapes}")


def weight_change(
    pre: tuple[Tensor, Tensor],
    post: tuple[Tensor, Tensor],
    weight: Tensor,
    correlate: Correlation,
    f_pre: WeightFunction,
    f_post: WeightFunction,
) -> Tensor:
    """f_post(w) tr_pre s_post - f_pre(w) tr_post s_pre; `pre` and `post` are (spikes, trace)."""
    (s_pre, tr_pre), (s_post, tr_post) = pre, post
    return f_post(weight) * correlate(s_post, tr_pre) - f_pre(weight) * correlate(tr_post, s_pre)
