"""STDP rules on layers: traces in, traces and weight change (or eligibility) out.

The equations are those of `sj_layers.functional`. Weights are read, never changed.
"""

from __future__ import annotations

from torch import Tensor, nn

from ..functional import mstdp_linear_step, mstdpet_linear_step
from ..functional._plasticity import Trace, WeightFunction, identity
from ..functional.stdp import stdp_sequence
from ._synapse import Synapse, checked_synapse, correlation_of, padded

__all__ = [
    "mstdp_linear_single_step",
    "mstdpet_linear_single_step",
    "stdp_conv1d_single_step",
    "stdp_conv2d_single_step",
    "stdp_linear_single_step",
    "stdp_multi_step",
]

Step = tuple[Tensor, Tensor, Tensor]


def stdp_linear_single_step(
    fc: nn.Linear,
    in_spike: Tensor,
    out_spike: Tensor,
    trace_pre: Trace,
    trace_post: Trace,
    tau_pre: float,
    tau_post: float,
    f_pre: WeightFunction = identity,
    f_post: WeightFunction = identity,
) -> Step:
    """One step of STDP for a linear layer.

    Args:
        fc: the layer.
        in_spike: what it received, `[N, in]`.
        out_spike: what the neurons behind it emitted, `[N, out]`.
        trace_pre, trace_post: traces of the two before this step; `None` for 0.
        tau_pre, tau_post: time constants of the traces in steps, greater than 0.
        f_pre, f_post: how far a weight yields to an input spike and to an output spike.

    Returns:
        Both traces after this step, and the change of the weight, summed over the batch.

    Raises:
        NotImplementedError: a layer of another kind.
        ValueError: shapes that do not belong together, or a time constant out of range.
    """
    checked_synapse("stdp_linear_single_step", fc, nn.Linear)
    return _single_step(
        fc, in_spike, out_spike, trace_pre, trace_post, tau_pre, tau_post, f_pre, f_post
    )


def stdp_conv1d_single_step(
    conv: nn.Conv1d,
    in_spike: Tensor,
    out_spike: Tensor,
    trace_pre: Trace,
    trace_post: Trace,
    tau_pre: float,
    tau_post: float,
    f_pre: WeightFunction = identity,
    f_post: WeightFunction = identity,
) -> Step:
    """:func:`stdp_linear_single_step` for a 1-d convolution.

    `in_spike` `[N, C_in, L]`, `out_spike` `[N, C_out, L']`; `trace_pre` has the padded shape of the
    input.

    Raises:
        NotImplementedError: a layer of another kind, or dilated or grouped.
    """
    checked_synapse("stdp_conv1d_single_step", conv, nn.Conv1d)
    return _single_step(
        conv, in_spike, out_spike, trace_pre, trace_post, tau_pre, tau_post, f_pre, f_post
    )


def stdp_conv2d_single_step(
    conv: nn.Conv2d,
    in_spike: Tensor,
    out_spike: Tensor,
    trace_pre: Trace,
    trace_post: Trace,
    tau_pre: float,
    tau_post: float,
    f_pre: WeightFunction = identity,
    f_post: WeightFunction = identity,
) -> Step:
    """:func:`stdp_linear_single_step` for a 2-d convolution.

    `in_spike` `[N, C_in, H, W]`, `out_spike` `[N, C_out, H', W']`; `trace_pre` has the padded shape
    of the input.

    Raises:
        NotImplementedError: a layer of another kind, or dilated or grouped.
    """
    checked_synapse("stdp_conv2d_single_step", conv, nn.Conv2d)
    return _single_step(
        conv, in_spike, out_spike, trace_pre, trace_post, tau_pre, tau_post, f_pre, f_post
    )


def stdp_multi_step(
    layer: Synapse,
    in_spike: Tensor,
    out_spike: Tensor,
    trace_pre: Trace,
    trace_post: Trace,
    tau_pre: float,
    tau_post: float,
    f_pre: WeightFunction = identity,
    f_post: WeightFunction = identity,
) -> Step:
    """Many steps of STDP: `in_spike` and `out_spike` are `[T, N, *]`.

    The weight is that of `layer` throughout, so that the sum over time and batch is taken at once.

    Returns:
        Both traces after the last step, and the sum of the changes.

    Raises:
        NotImplementedError: a layer that is no linear one and no 1-d or 2-d convolution.
        ValueError: as for :func:`stdp_linear_single_step`, or T = 0.
    """
    checked_synapse("stdp_multi_step", layer, nn.Linear, nn.Conv1d, nn.Conv2d)
    change, traces = stdp_sequence(
        (padded(layer, in_spike), out_spike),
        (trace_pre, trace_post),
        layer.weight.detach(),
        correlation_of(layer),
        (tau_pre, tau_post),
        (f_pre, f_post),
    )
    return *traces, change


def _single_step(
    layer: Synapse, in_spike: Tensor, out_spike: Tensor, trace_pre: Trace, *others: object
) -> Step:
    return stdp_multi_step(layer, in_spike.unsqueeze(0), out_spike.unsqueeze(0), trace_pre, *others)  # pyright: ignore[reportArgumentType]


def mstdp_linear_single_step(
    fc: nn.Linear,
    in_spike: Tensor,
    out_spike: Tensor,
    trace_pre: Trace,
    trace_post: Trace,
    tau_pre: float,
    tau_post: float,
    f_pre: WeightFunction = identity,
    f_post: WeightFunction = identity,
) -> Step:
    """One step of reward-modulated STDP for a linear layer, before the reward.

    Arguments as for :func:`stdp_linear_single_step`.

    Returns:
        Both traces after this step, and the eligibility `[N, out, in]` of each sample.
    """
    checked_synapse("mstdp_linear_single_step", fc, nn.Linear)
    e, traces = mstdp_linear_step(
        in_spike,
        out_spike,
        (trace_pre, trace_post),
        fc.weight.detach(),
        tau_pre=tau_pre,
        tau_post=tau_post,
        f_pre=f_pre,
        f_post=f_post,
    )
    return *traces, e


def mstdpet_linear_single_step(
    fc: nn.Linear,
    in_spike: Tensor,
    out_spike: Tensor,
    trace_pre: Trace,
    trace_post: Trace,
    tau_pre: float,
    tau_post: float,
    f_pre: WeightFunction = identity,
    f_post: WeightFunction = identity,
) -> Step:
    """One step of reward-modulated STDP with eligibility trace, before the reward.

    A single sample: `in_spike` is `[in]`, `out_spike` `[out]`. Arguments else as for
    :func:`stdp_linear_single_step`.

    Returns:
        Both traces after this step, and the eligibility `[out, in]`.
    """
    checked_synapse("mstdpet_linear_single_step", fc, nn.Linear)
    e, traces = mstdpet_linear_step(
        in_spike,
        out_spike,
        (trace_pre, trace_post),
        fc.weight.detach(),
        tau_pre=tau_pre,
        tau_post=tau_post,
        f_pre=f_pre,
        f_post=f_post,
    )
    return *traces, e
