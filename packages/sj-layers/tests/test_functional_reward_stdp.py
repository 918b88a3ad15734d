"""Reward-modulated STDP of one synapse as a pure function."""

import itertools
import math

import pytest
import torch
from torch import Tensor

from sj_layers import functional

TAUS = {"tau_pre": 2.0, "tau_post": 4.0}


def spikes(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (torch.rand(*shape, generator=generator) < 0.4).double()


def weights(*shape: int) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(9)).double() + 0.1


def test_each_sample_has_an_eligibility():
    pre, post, w = spikes(5, 4), spikes(5, 3, seed=1), weights(3, 4)
    trace = weights(5, 4), weights(5, 3)
    e, (tr_pre, tr_post) = functional.mstdp_linear_step(
        pre, post, trace, w, **TAUS, f_pre=torch.square, f_post=lambda w: 1 - w
    )
    torch.testing.assert_close(tr_pre, trace[0] * math.exp(-1 / 2) + pre)
    torch.testing.assert_close(tr_post, trace[1] * math.exp(-1 / 4) + post)
    expected = torch.zeros(5, 3, 4).double()
    for n, i, j in itertools.product(range(5), range(3), range(4)):
        expected[n, i, j] = (1 - w[i, j]) * tr_pre[n, j] * post[n, i]
        expected[n, i, j] -= w[i, j] ** 2 * tr_post[n, i] * pre[n, j]
    torch.testing.assert_close(e, expected)


def test_the_eligibility_of_a_single_sample():
    pre, post, w = spikes(1, 4), spikes(1, 3, seed=1), weights(3, 4)
    batch, traces = functional.mstdp_linear_step(pre, post, (None, None), w, **TAUS)
    alone, trace = functional.mstdpet_linear_step(pre[0], post[0], (None, None), w, **TAUS)
    assert torch.equal(alone, batch[0])
    assert torch.equal(trace[0], traces[0][0])


def test_rewards_pay_for_a_decaying_trace_of_eligibility():
    e = weights(3, 4)
    dw, trace_e = functional.mstdpet_reward_step(2.0, e, None, tau_trace=5.0)
    torch.testing.assert_close(trace_e, e / 5)
    torch.testing.assert_close(dw, 2 * e / 5)
    dw, trace_e = functional.mstdpet_reward_step(torch.tensor(-1.0), 0 * e, trace_e, tau_trace=5.0)
    torch.testing.assert_close(dw, -e / 5 * math.exp(-1 / 5))
    torch.testing.assert_close(trace_e, -dw)


def test_ranks_are_checked():
    with pytest.raises(ValueError, match=r"\[N, in\] and \[N, out\], got \(4,\)"):
        functional.mstdp_linear_step(spikes(4), spikes(3), (None, None), weights(3, 4), **TAUS)
    with pytest.raises(ValueError, match=r"mstdpet_linear_step.*a single sample, got \(2, 4\)"):
        functional.mstdpet_linear_step(
            spikes(2, 4), spikes(2, 3), (None, None), weights(3, 4), **TAUS
        )
    with pytest.raises(ValueError, match=r"and \[out, in\], got"):
        functional.mstdp_linear_step(
            spikes(2, 4), spikes(2, 5), (None, None), weights(3, 4), **TAUS
        )


def test_time_constants_are_checked():
    with pytest.raises(ValueError, match="tau_trace must be a finite number"):
        functional.mstdpet_reward_step(1.0, weights(3, 4), None, tau_trace=0.0)
    with pytest.raises(ValueError, match="tau_pre and tau_post must be"):
        functional.mstdp_linear_step(
            spikes(2, 4), spikes(2, 3), (None, None), weights(3, 4), tau_pre=2.0, tau_post=0.0
        )
