"""Reward-modulated STDP with and without eligibility trace (MSTDPET, MSTDP), as pure functions.

    tr_pre[t]  = tr_pre[t-1]  exp(-1 / tau_pre)  + s_pre[t]
    tr_post[t] = tr_post[t-1] exp(-1 / tau_post) + s_post[t]
    e_ij[t]    = f_post(w_ij) tr_pre_j[t] s_post_i[t] - f_pre(w_ij) tr_post_i[t] s_pre_j[t]

    MSTDP      dw[t] = sum_n reward_n[t] e_n[t-1]
    MSTDPET    tr_e[t] = tr_e[t-1] exp(-1 / tau_trace) + e[t-1] / tau_trace
               dw[t] = reward[t] tr_e[t]

j is an input, i an output of the synapse; the eligibility e is kept for each sample n of the batch,
MSTDPET knows a single sample.

Source: Florian, "Reinforcement learning through modulation of spike-timing-dependent synaptic
plasticity", Neural Computation 2007.
"""

from __future__ import annotations

import math

from torch import Tensor

from ._plasticity import (
    Trace,
    WeightFunction,
    checked_tau,
    exponential_decay,
    identity,
    require_linear,
    traces_of,
)

__all__ = [
    "eligibility_of",
    "mstdp_linear_step",
    "mstdpet_linear_step",
    "mstdpet_reward_step",
]

Traces = tuple[Tensor, Tensor]


def eligibility_of(
    pre: tuple[Tensor, Tensor],
    post: tuple[Tensor, Tensor],
    weight: Tensor,
    f_pre: WeightFunction,
    f_post: WeightFunction,
) -> Tensor:
    """e `[*, out, in]` of one step; `pre` and `post` are (spikes, trace) `[*, in]`, `[*, out]`."""
    (s_pre, tr_pre), (s_post, tr_post) = pre, post
    require_linear(s_pre, s_post, weight)
    grows = f_post(weight) * (s_post.unsqueeze(-1) * tr_pre.unsqueeze(-2))
    return grows - f_pre(weight) * (tr_post.unsqueeze(-1) * s_pre.unsqueeze(-2))


def mstdp_linear_step(
    in_spike: Tensor,
    out_spike: Tensor,
    trace: tuple[Trace, Trace],
    weight: Tensor,
    *,
    tau_pre: float,
    tau_post: float,
    f_pre: WeightFunction = identity,
    f_post: WeightFunction = identity,
) -> tuple[Tensor, Traces]:
    """Eligibility of each sample after one step of MSTDP for a linear layer.

    Args:
        in_spike: what the layer received, `[N, in]`.
        out_spike: what the neurons behind it emitted, `[N, out]`.
        trace: traces of both before this step, each in the shape of its spikes, or `None` for 0.
        weight: `[out, in]`.
        tau_pre, tau_post: time constants of the traces in steps, greater than 0.
        f_pre, f_post: how far a weight yields to an input spike and to an output spike.

    Returns:
        The eligibility `[N, out, in]`, and both traces after this step.

    Raises:
        ValueError: shapes that do not belong together, or a time constant out of range.
    """
    _require_rank("mstdp_linear_step", in_spike, out_spike, 2, "[N, in] and [N, out]")
    return _eligibility_step(in_spike, out_spike, trace, weight, tau_pre, tau_post, f_pre, f_post)


def mstdpet_linear_step(
    in_spike: Tensor,
    out_spike: Tensor,
    trace: tuple[Trace, Trace],
    weight: Tensor,
    *,
    tau_pre: float,
    tau_post: float,
    f_pre: WeightFunction = identity,
    f_post: WeightFunction = identity,
) -> tuple[Tensor, Traces]:
    """Eligibility after one step of MSTDPET for a linear layer and a single sample.

    Args:
        in_spike: what the layer received, `[in]`.
        out_spike: what the neurons behind it emitted, `[out]`.
        trace, weight, tau_pre, tau_post, f_pre, f_post: see :func:`mstdp_linear_step`.

    Returns:
        The eligibility `[out, in]`, and both traces after this step.

    Raises:
        ValueError: shapes that do not belong together, or a time constant out of range.
    """
    _require_rank("mstdpet_linear_step", in_spike, out_spike, 1, "[in] and [out], a single sample")
    return _eligibility_step(in_spike, out_spike, trace, weight, tau_pre, tau_post, f_pre, f_post)


def mstdpet_reward_step(
    reward: Tensor | float, eligibility: Tensor, trace_e: Trace, *, tau_trace: float
) -> tuple[Tensor, Tensor]:
    """What a reward makes of the eligibility `[out, in]` of the step before.

    Args:
        reward: a number, or a tensor that broadcasts to the eligibility.
        eligibility: that of the step before.
        trace_e: trace of the eligibility before this step, `[out, in]`, or `None` for 0.
        tau_trace: time constant of that trace in steps, greater than 0.

    Returns:
        The change of the weight, and the trace of the eligibility after this step.

    Raises:
        ValueError: a time constant out of range.
    """
    checked_tau("tau_trace", tau_trace)
    if trace_e is None:
        trace_e = 0.0
    trace_e = trace_e * math.exp(-1.0 / tau_trace) + eligibility / tau_trace
    return reward * trace_e, trace_e


def _eligibility_step(
    in_spike: Tensor,
    out_spike: Tensor,
    trace: tuple[Trace, Trace],
    weight: Tensor,
    tau_pre: float,
    tau_post: float,
    f_pre: WeightFunction,
    f_post: WeightFunction,
) -> tuple[Tensor, Traces]:
    pre, post = in_spike.to(weight), out_spike.to(weight)
    tr_pre = traces_of(pre.unsqueeze(0), trace[0], tau_pre, exponential_decay)[0]
    tr_post = traces_of(post.unsqueeze(0), trace[1], tau_post, exponential_decay)[0]
    e = eligibility_of((pre, tr_pre), (post, tr_post), weight, f_pre, f_post)
    return e, (tr_pre, tr_post)


def _require_rank(owner: str, pre: Tensor, post: Tensor, rank: int, expected: str) -> None:
    if pre.dim() != rank or post.dim() != rank:
        raise ValueError(
            f"{owner}: expected spikes {expected}, got {tuple(pre.shape)} and {tuple(post.shape)}"
        )
