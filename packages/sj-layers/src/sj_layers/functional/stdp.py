"""Spike-timing-dependent plasticity (STDP): one time step of one synapse as a pure function.

    tr_pre[t]  = tr_pre[t-1]  - tr_pre[t-1]  / tau_pre  + s_pre[t]
    tr_post[t] = tr_post[t-1] - tr_post[t-1] / tau_post + s_post[t]
    dw_ij[t]   = f_post(w_ij) sum_n tr_pre_nj[t] s_post_ni[t]
                 - f_pre(w_ij) sum_n tr_post_ni[t] s_pre_nj[t]

j is an input, i an output of the synapse, n runs over the batch. A convolution sums over its output
positions as well; on a GPU these sums follow torch's precision setting of convolutions.

Source: Morrison, Diesmann, Gerstner, "Phenomenological models of synaptic plasticity based on spike
timing", Biological Cybernetics 2008.
"""

from __future__ import annotations

from torch import Tensor

from ._plasticity import (
    Correlation,
    Trace,
    WeightFunction,
    convolution_correlation,
    decay,
    identity,
    linear_correlation,
    traces_of,
    weight_change,
)

__all__ = ["stdp_conv1d_step", "stdp_conv2d_step", "stdp_linear_step", "stdp_sequence"]

Traces = tuple[Tensor, Tensor]


def stdp_linear_step(
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
    """One step of STDP for a linear layer.

    Args:
        in_spike: what the layer received, `[*, in]`.
        out_spike: what the neurons behind it emitted, `[*, out]`.
        trace: traces of both before this step, each in the shape of its spikes, or `None` for 0.
        weight: `[out, in]`.
        tau_pre, tau_post: time constants of the traces in steps, greater than 0.
        f_pre, f_post: how far a weight yields to an input spike and to an output spike.

    Returns:
        The change of the weight, and both traces after this step.

    Raises:
        ValueError: shapes that do not belong together, or a time constant out of range.

    Example:
        >>> import torch
        >>> one = torch.ones(1, 1)
        >>> taus = {"tau_pre": 2.0, "tau_post": 2.0}
        >>> _, traces = stdp_linear_step(one, 0 * one, (None, None), one, **taus)
        >>> stdp_linear_step(0 * one, one, traces, one, **taus)[0]   # pre before post: it grows
        tensor([[0.5000]])
    """
    return stdp_sequence(
        (in_spike.unsqueeze(0), out_spike.unsqueeze(0)),
        trace,
        weight,
        linear_correlation(weight),
        (tau_pre, tau_post),
        (f_pre, f_post),
    )


def stdp_conv1d_step(
    in_spike: Tensor,
    out_spike: Tensor,
    trace: tuple[Trace, Trace],
    weight: Tensor,
    *,
    stride: tuple[int],
    tau_pre: float,
    tau_post: float,
    f_pre: WeightFunction = identity,
    f_post: WeightFunction = identity,
) -> tuple[Tensor, Traces]:
    """One step of STDP for a 1-d convolution; see :func:`stdp_linear_step`.

    Args:
        in_spike: what the layer received, padded already, `[*, C_in, L]`.
        out_spike: what the neurons behind it emitted, `[*, C_out, L']`.
        weight: `[C_out, C_in, k]`.
        stride: stride of the convolution.
        trace, tau_pre, tau_post, f_pre, f_post: as for a linear layer.
    """
    return stdp_sequence(
        (in_spike.unsqueeze(0), out_spike.unsqueeze(0)),
        trace,
        weight,
        convolution_correlation(weight, stride),
        (tau_pre, tau_post),
        (f_pre, f_post),
    )


def stdp_conv2d_step(
    in_spike: Tensor,
    out_spike: Tensor,
    trace: tuple[Trace, Trace],
    weight: Tensor,
    *,
    stride: tuple[int, int],
    tau_pre: float,
    tau_post: float,
    f_pre: WeightFunction = identity,
    f_post: WeightFunction = identity,
) -> tuple[Tensor, Traces]:
    """One step of STDP for a 2-d convolution; see :func:`stdp_linear_step`.

    Args:
        in_spike: what the layer received, padded already, `[*, C_in, H, W]`.
        out_spike: what the neurons behind it emitted, `[*, C_out, H', W']`.
        weight: `[C_out, C_in, k_h, k_w]`.
        stride: strides of the convolution.
        trace, tau_pre, tau_post, f_pre, f_post: as for a linear layer.
    """
    return stdp_sequence(
        (in_spike.unsqueeze(0), out_spike.unsqueeze(0)),
        trace,
        weight,
        convolution_correlation(weight, stride),
        (tau_pre, tau_post),
        (f_pre, f_post),
    )


def stdp_sequence(
    spikes: tuple[Tensor, Tensor],
    trace: tuple[Trace, Trace],
    weight: Tensor,
    correlate: Correlation,
    taus: tuple[float, float],
    f: tuple[WeightFunction, WeightFunction],
) -> tuple[Tensor, Traces]:
    """Many steps of STDP with the weight held fixed: the sum of their changes, and the last traces.

    Args:
        spikes: what the synapse received and what its neurons emitted, `[T, *]`.
        trace: traces of both before the sequence.
        weight: of the synapse.
        correlate: sums products of outputs and inputs in the shape of the weight.
        taus: `tau_pre` and `tau_post`.
        f: `f_pre` and `f_post`.
    """
    pre, post = (spike_seq.to(weight) for spike_seq in spikes)
    tr_pre = traces_of(pre, trace[0], taus[0], decay)
    tr_post = traces_of(post, trace[1], taus[1], decay)
    change = weight_change((pre, tr_pre), (post, tr_post), weight, correlate, *f)
    return change, (tr_pre[-1], tr_post[-1])
