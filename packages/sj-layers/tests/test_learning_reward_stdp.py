"""The learners by reward, against their equations in loops."""

import math

import pytest
import torch
from torch import nn

import sj_layers as layer
from sj_layers import functional as step_functional
from sj_layers import learning
from sj_neurons import functional, neuron

T, N = 6, 3


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def made(cls, step_mode="s", *args, **options):
    """Net and learner; every call of this function makes the same weights."""
    torch.manual_seed(0)
    fc = layer.Linear(4, 5, bias=False).double()
    nn.init.uniform_(fc.weight, 0.1, 0.6)
    net = nn.Sequential(fc, neuron.IFNode())
    functional.set_step_mode(net, step_mode)
    return net, cls(step_mode, *args, *net, tau_pre=2.0, tau_post=3.0, **options)


def spikes(*shape):
    generator = torch.Generator().manual_seed(1)
    return (torch.rand(*shape, generator=generator) < 0.5).double()


def rewards(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(2)).double()


def run(net, x_seq):
    with torch.no_grad():
        if net[1].step_mode == "m":
            return net(x_seq)
        return torch.stack([net(x) for x in x_seq])


def eligibilities(net, x, s, rule):
    """e of every step, by the pure step function."""
    trace, history = (None, None), []
    for s_pre, s_post in zip(x, s, strict=True):
        e, trace = rule(s_pre, s_post, trace, net[0].weight.detach(), tau_pre=2.0, tau_post=3.0)
        history.append(e)
    return history


def test_rewards_pay_for_the_step_before():
    net, learner = made(learning.MSTDPLearner, "s", N)
    x, r = spikes(T, N, 4), rewards(T, N)
    s, changes = [], []
    for x_t, r_t in zip(x, r, strict=True):
        s.append(run(net, x_t[None])[0])
        changes.append(learner.step(r_t, on_grad=False))
    e = eligibilities(net, x, s, step_functional.mstdp_linear_step)
    assert not changes[0].any()
    for t in range(1, T):
        torch.testing.assert_close(changes[t], (r[t].view(N, 1, 1) * e[t - 1]).sum(0))
    torch.testing.assert_close(learner.eligibility, e[-1])


def test_a_trace_of_eligibility_is_paid():
    net, learner = made(learning.MSTDPETLearner, "s", tau_trace=4.0)
    x, r = spikes(T, 4), rewards(T)
    s, changes = [], []
    for x_t, r_t in zip(x, r, strict=True):
        s.append(run(net, x_t[None])[0])
        changes.append(learner.step(r_t, on_grad=False))
    e = eligibilities(net, x, s, step_functional.mstdpet_linear_step)
    trace_e = torch.zeros(5, 4).double()
    for t in range(1, T):
        trace_e = trace_e * math.exp(-1 / 4) + e[t - 1] / 4
        torch.testing.assert_close(changes[t], r[t] * trace_e)
    torch.testing.assert_close(learner.trace_e, trace_e)
    torch.testing.assert_close(learner.eligibility, e[-1])


CLASSES = pytest.mark.parametrize(
    ("cls", "args", "options", "batch"),
    [
        (learning.MSTDPLearner, (N,), {}, (N,)),
        (learning.MSTDPLearner, (1,), {}, (1,)),
        (learning.MSTDPETLearner, (), {"tau_trace": 4.0}, ()),
        (learning.MSTDPETLearner, (), {"tau_trace": 4.0}, (1,)),
    ],
    ids=["mstdp", "mstdp of one", "mstdpet", "mstdpet batch of one"],
)


@CLASSES
@pytest.mark.parametrize("cut", [1, 3])
def test_learning_step_by_step_in_pieces_and_at_once_is_the_same(cls, args, options, batch, cut):
    x, r = spikes(T, *batch, 4), rewards(T, *batch)
    net, learner = made(cls, "s", *args, **options)
    total = 0
    for x_t, r_t in zip(x, r, strict=True):
        run(net, x_t[None])
        total = total + learner.step(r_t, on_grad=False)
    for mode in ("s", "m"):
        net, other = made(cls, mode, *args, **options)
        run(net, x[:cut])
        first = other.step(r[:cut], on_grad=False)
        run(net, x[cut:])
        torch.testing.assert_close(first + other.step(r[cut:], on_grad=False), total)
        for name in ("trace_pre", "trace_post", "eligibility"):
            torch.testing.assert_close(getattr(other, name), getattr(learner, name))


@CLASSES
def test_a_number_rewards_all(cls, args, options, batch):
    x = spikes(T, *batch, 4)
    changes = []
    for reward in (0.5, torch.tensor(0.5), torch.full((T, *batch), 0.5)):
        net, learner = made(cls, "m", *args, **options)
        run(net, x)
        changes.append(learner.step(reward, on_grad=False))
    assert torch.equal(changes[0], changes[1])
    assert torch.equal(changes[0], changes[2])


@CLASSES
def test_the_change_is_handed_out_as_a_gradient(cls, args, options, batch):
    net, learner = made(cls, "m", *args, **options)
    run(net, spikes(T, *batch, 4))
    assert learner.step(1.0, scale=3.0) is None
    net_too, twin = made(cls, "m", *args, **options)
    run(net_too, spikes(T, *batch, 4))
    torch.testing.assert_close(net[0].weight.grad, -3 * twin.step(1.0, on_grad=False))


@CLASSES
def test_without_calls_and_after_reset_nothing_is_learned(cls, args, options, batch):
    net, learner = made(cls, "s", *args, **options)
    assert learner.step(1.0) is None
    run(net, spikes(T, *batch, 4))
    learner.step(1.0)
    run(net, spikes(T, *batch, 4))
    learner.reset()
    assert learner.step(1.0, on_grad=False) is None
    assert list(learner.memories()) == [None] * len(list(learner.memories()))


def test_a_sample_without_batch_is_a_batch_of_one():
    net, learner = made(learning.MSTDPLearner, "m", 1)
    run(net, spikes(T, 4))
    twin_net, twin = made(learning.MSTDPLearner, "m", 1)
    run(twin_net, spikes(T, 4).unsqueeze(1))
    assert torch.equal(learner.step(1.0, on_grad=False), twin.step(1.0, on_grad=False))


def test_batches_of_another_size_are_refused():
    net, learner = made(learning.MSTDPLearner, "s", N)
    run(net, spikes(1, 2, 4))
    with pytest.raises(ValueError, match=r"batch_size=3.*\[3, features\], got \[2, 4\]"):
        learner.step(1.0)
    net, learner = made(learning.MSTDPETLearner, "s", tau_trace=2.0)
    run(net, spikes(1, 2, 4))
    with pytest.raises(ValueError, match=r"single sample.*got \[2, 4\]; MSTDPLearner takes"):
        learner.step(1.0)


def test_rewards_of_another_shape_are_refused():
    net, learner = made(learning.MSTDPLearner, "m", N)
    run(net, spikes(T, N, 4))
    with pytest.raises(ValueError, match=r"a number, \[3\] or \[6, 3\], got \[2\]"):
        learner.step(torch.ones(2))
    net, learner = made(learning.MSTDPETLearner, "m", tau_trace=2.0)
    run(net, spikes(T, 4))
    with pytest.raises(ValueError, match=r"a number or \[6\], got \[2\]"):
        learner.step(torch.ones(2))


def test_bad_arguments_are_refused():
    fc, sn = nn.Linear(1, 1), neuron.IFNode()
    with pytest.raises(NotImplementedError, match="MSTDPLearner is defined for Linear"):
        learning.MSTDPLearner("s", 1, nn.Conv1d(1, 1, 1), sn, 2.0, 2.0)
    with pytest.raises(ValueError, match="batch_size must be at least 1, got 0"):
        learning.MSTDPLearner("s", 0, fc, sn, 2.0, 2.0)
    with pytest.raises(ValueError, match="tau_trace must be"):
        learning.MSTDPETLearner("s", fc, sn, 2.0, 2.0, tau_trace=-1.0)


def test_repr_tells_the_time_constants():
    _, learner = made(learning.MSTDPETLearner, "s", tau_trace=4.0)
    assert "tau_pre=2.0, tau_post=3.0, tau_trace=4.0" in repr(learner)
