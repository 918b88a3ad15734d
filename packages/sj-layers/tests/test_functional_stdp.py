"""STDP of one synapse as a pure function: closed forms and sums written out."""

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from sj_layers import functional

TAUS = {"tau_pre": 2.0, "tau_post": 4.0}


def spikes(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (torch.rand(*shape, generator=generator) < 0.4).double()


def weights(*shape: int) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(9)).double() + 0.1


def written_out(s_pre, s_post, tr_pre, tr_post, w, stride):
    """The weight change of a convolution, one product after the other; `s_pre` is padded."""
    change = torch.zeros_like(w)
    kernel = list(itertools.product(*(range(k) for k in w.shape[2:])))
    places = list(itertools.product(*(range(size) for size in s_post.shape[2:])))
    batch, outputs, inputs = range(s_pre.shape[0]), range(w.shape[0]), range(w.shape[1])
    for n, i, j, k, p in itertools.product(batch, outputs, inputs, kernel, places):
        q = tuple(a * s + b for a, s, b in zip(p, stride, k, strict=True))
        change[(i, j, *k)] += w[(i, j, *k)] * tr_pre[(n, j, *q)] * s_post[(n, i, *p)]
        change[(i, j, *k)] -= w[(i, j, *k)] * tr_post[(n, i, *p)] * s_pre[(n, j, *q)]
    return change


def test_a_lone_pair_of_spikes_changes_the_weight_by_what_is_left_of_the_trace():
    one, none = torch.ones(1, 1), torch.zeros(1, 1)
    weight = torch.tensor([[0.5]])
    for first, second, sign, tau in ((one, none, 1.0, 2.0), (none, one, -1.0, 4.0)):
        dw, traces = functional.stdp_linear_step(first, second, (None, None), weight, **TAUS)
        assert dw.item() == 0.0
        dw, traces = functional.stdp_linear_step(none, none, traces, weight, **TAUS)
        assert dw.item() == 0.0
        dw, traces = functional.stdp_linear_step(second, first, traces, weight, **TAUS)
        assert dw.item() == pytest.approx(sign * 0.5 * (1 - 1 / tau) ** 2)


def test_linear_layers_sum_over_batch():
    pre, post, w = spikes(5, 4), spikes(5, 3, seed=1), weights(3, 4)
    trace = weights(5, 4), weights(5, 3)
    dw, (tr_pre, tr_post) = functional.stdp_linear_step(
        pre, post, trace, w, **TAUS, f_pre=lambda w: w, f_post=lambda w: 1 - w
    )
    torch.testing.assert_close(tr_pre, trace[0] * 0.5 + pre)
    torch.testing.assert_close(tr_post, trace[1] * 0.75 + post)
    expected = torch.zeros_like(w)
    for n, i, j in itertools.product(range(5), range(3), range(4)):
        expected[i, j] += (1 - w[i, j]) * tr_pre[n, j] * post[n, i]
        expected[i, j] -= w[i, j] * tr_post[n, i] * pre[n, j]
    torch.testing.assert_close(dw, expected)


def test_a_sample_without_batch_is_a_batch_of_one():
    pre, post, w = spikes(4), spikes(3, seed=1), weights(3, 4)
    alone, traces = functional.stdp_linear_step(pre, post, (None, None), w, **TAUS)
    batch, _ = functional.stdp_linear_step(pre[None], post[None], (None, None), w, **TAUS)
    assert torch.equal(alone, batch)
    assert traces[0].shape == (4,)


@settings(max_examples=25, deadline=None)
@given(
    size=st.tuples(st.integers(3, 6), st.integers(3, 6)),
    kernel=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    stride=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    channels=st.tuples(st.integers(1, 2), st.integers(1, 2)),
    batch=st.integers(1, 2),
)
def test_2d_convolutions_sum_over_output_positions(size, kernel, stride, channels, batch):
    out = [(n - k) // s + 1 for n, k, s in zip(size, kernel, stride, strict=True)]
    pre, post = spikes(batch, channels[0], *size), spikes(batch, channels[1], *out, seed=1)
    w = weights(channels[1], channels[0], *kernel)
    trace = weights(*pre.shape), weights(*post.shape)
    dw, (tr_pre, tr_post) = functional.stdp_conv2d_step(pre, post, trace, w, stride=stride, **TAUS)
    expected = written_out(pre, post, tr_pre, tr_post, w, stride)
    torch.testing.assert_close(dw, expected)


@pytest.mark.parametrize("stride", [1, 2, 3])
def test_1d_convolutions_sum_over_output_positions(stride):
    pre, w = spikes(2, 2, 9), weights(3, 2, 3)
    post = spikes(2, 3, (9 - 3) // stride + 1, seed=1)
    dw, (tr_pre, tr_post) = functional.stdp_conv1d_step(
        pre, post, (None, 0.5), w, stride=(stride,), **TAUS
    )
    torch.testing.assert_close(tr_post, 0.5 * 0.75 + post)
    torch.testing.assert_close(dw, written_out(pre, post, tr_pre, tr_post, w, (stride,)))


def test_traces_and_changes_have_the_type_of_the_weight():
    w = weights(3, 4).float()
    dw, traces = functional.stdp_linear_step(
        spikes(2, 4).bool(), spikes(2, 3).half(), (None, None), w, **TAUS
    )
    assert {dw.dtype, traces[0].dtype, traces[1].dtype} == {torch.float32}


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision(dtype):
    pre, post, w = spikes(2, 2, 6, 6), spikes(2, 3, 4, 4, seed=1), weights(3, 2, 3, 3)
    exact, _ = functional.stdp_conv2d_step(pre, post, (None, None), w, stride=(1, 1), **TAUS)
    dw, _ = functional.stdp_conv2d_step(pre, post, (None, None), w.to(dtype), stride=(1, 1), **TAUS)
    assert dw.dtype == dtype
    torch.testing.assert_close(dw.double(), exact, rtol=0.05, atol=0.05)


def test_compiles_without_graph_break():
    pre, post, w = spikes(5, 4), spikes(5, 3, seed=1), weights(3, 4)
    step = torch.compile(functional.stdp_linear_step, fullgraph=True, backend="eager")
    got, _ = step(pre, post, (pre, post), w, **TAUS)
    expected, _ = functional.stdp_linear_step(pre, post, (pre, post), w, **TAUS)
    torch.testing.assert_close(got, expected)


@pytest.mark.parametrize("tau", [0.0, -1.0, float("nan"), float("inf")])
@pytest.mark.parametrize("name", ["tau_pre", "tau_post"])
def test_time_constants_out_of_range_are_refused(name, tau):
    w = weights(3, 4)
    with pytest.raises(ValueError, match=r"tau_pre.*greater than 0"):
        functional.stdp_linear_step(
            spikes(2, 4), spikes(2, 3), (None, None), w, **{**TAUS, name: tau}
        )


@pytest.mark.parametrize(("pre", "post"), [((2, 3), (2, 3)), ((2, 4), (1, 3)), ((2, 4), (2, 5))])
def test_linear_spikes_that_do_not_fit_are_refused(pre, post):
    with pytest.raises(ValueError, match=r"\[\*, in\], \[\*, out\] and \[out, in\], got"):
        functional.stdp_linear_step(
            spikes(*pre), spikes(*post), (None, None), weights(3, 4), **TAUS
        )


@pytest.mark.parametrize(
    ("pre", "post"),
    [
        ((2, 1, 6), (2, 3, 4)),
        ((2, 2, 6), (2, 3, 6)),
        ((1, 2, 6), (2, 3, 4)),
        ((2, 2, 6), (2, 2, 4)),
    ],
)
def test_convolution_spikes_that_do_not_fit_are_refused(pre, post):
    with pytest.raises(ValueError, match=r"\[\*, C_in, L\], \[\*, C_out, L\] and"):
        functional.stdp_conv1d_step(
            spikes(*pre), spikes(*post), (None, None), weights(3, 2, 3), stride=(1,), **TAUS
        )


def test_a_trace_of_another_batch_is_refused():
    with pytest.raises(ValueError, match=r"spikes \(2, 4\).*trace \(5, 4\).*reset the learner"):
        functional.stdp_linear_step(
            spikes(2, 4), spikes(2, 3), (spikes(5, 4), None), weights(3, 4), **TAUS
        )
