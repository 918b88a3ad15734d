"""The STDP learner: it watches a layer and its neurons, and turns their spikes into a gradient."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import sj_layers as layer
from sj_layers import learning
from sj_neurons import functional, neuron

T, N = 5, 3


def net_and_learner(step_mode="s", kind="linear", dtype=torch.float64, **options):
    torch.manual_seed(0)
    synapse = {
        "linear": lambda: layer.Linear(4, 5, bias=False),
        "conv1d": lambda: layer.Conv1d(2, 3, 3, padding=1, bias=False),
        "conv2d": lambda: layer.Conv2d(2, 3, 3, stride=2, bias=False),
    }[kind]()
    nn.init.uniform_(synapse.weight, 0.1, 0.6)
    net = nn.Sequential(synapse, neuron.IFNode()).to(dtype)
    functional.set_step_mode(net, step_mode)
    return net, learning.STDPLearner(step_mode, *net, tau_pre=2.0, tau_post=3.0, **options)


def spikes(kind="linear", steps=T, dtype=torch.float64, seed=0):
    shape = {"linear": (4,), "conv1d": (2, 6), "conv2d": (2, 7, 7)}[kind]
    generator = torch.Generator().manual_seed(seed)
    return (torch.rand(steps, N, *shape, generator=generator) < 0.5).to(dtype)


def run(net, x_seq):
    with torch.no_grad():
        if net[1].step_mode == "m":
            return net(x_seq)
        return torch.stack([net(x) for x in x_seq])


@pytest.mark.parametrize("kind", ["linear", "conv1d", "conv2d"])
def test_learning_after_each_step_at_the_end_and_in_m_is_the_same(kind):
    x = spikes(kind)
    each, each_learner = net_and_learner("s", kind)
    total = 0
    for x_t in x:
        run(each, x_t[None])
        total = total + each_learner.step(on_grad=False)
    for mode in ("s", "m"):
        net, learner = net_and_learner(mode, kind)
        run(net, x)
        torch.testing.assert_close(learner.step(on_grad=False), total)
        assert torch.equal(learner.trace_pre, each_learner.trace_pre)
        assert torch.equal(learner.trace_post, each_learner.trace_post)


@settings(max_examples=15, deadline=None)
@given(cut=st.integers(1, T - 1), seed=st.integers(0, 99))
def test_pieces_of_a_sequence_add_up(cut, seed):
    x = spikes(seed=seed)
    whole, whole_learner = net_and_learner("m")
    parts, parts_learner = net_and_learner("m")
    run(whole, x)
    run(parts, x[:cut])
    first = parts_learner.step(on_grad=False)
    run(parts, x[cut:])
    second = parts_learner.step(on_grad=False)
    torch.testing.assert_close(first + second, whole_learner.step(on_grad=False))
    assert torch.equal(parts_learner.trace_pre, whole_learner.trace_pre)


def test_the_change_is_what_the_rule_says():
    net, learner = net_and_learner("m", f_pre=torch.square, f_post=lambda w: 1 - w)
    x = spikes()
    s = run(net, x)
    *traces, dw = learning.stdp_multi_step(
        net[0], x, s, None, None, 2.0, 3.0, torch.square, lambda w: 1 - w
    )
    assert torch.equal(learner.step(on_grad=False), dw)
    assert torch.equal(learner.trace_pre, traces[0])
    assert torch.equal(learner.trace_post, traces[1])


def test_gradient_descent_adds_the_change_to_the_weight():
    net, learner = net_and_learner()
    run(net, spikes())
    dw = copy.deepcopy(learner).step(on_grad=False)
    before = net[0].weight.detach().clone()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    assert learner.step(scale=2.0) is None
    optimizer.step()
    torch.testing.assert_close(net[0].weight.detach(), before + 0.1 * 2 * dw)


def test_the_change_joins_a_gradient_that_is_there():
    net, learner = net_and_learner()
    run(net, spikes())
    dw = copy.deepcopy(learner).step(on_grad=False)
    net[0].weight.grad = torch.ones_like(net[0].weight)
    learner.step()
    torch.testing.assert_close(net[0].weight.grad, 1 - dw)


def test_a_step_without_calls_does_nothing():
    net, learner = net_and_learner()
    net[0].weight.grad = torch.ones_like(net[0].weight)
    assert learner.step() is None
    assert learner.step(on_grad=False) is None
    assert torch.equal(net[0].weight.grad, torch.ones_like(net[0].weight))
    run(net, spikes())
    learner.step()
    assert learner.step(on_grad=False) is None  # each call counts once


def test_records_and_traces_hang_in_no_graph():
    net, learner = net_and_learner()
    net(spikes()[0].requires_grad_()).sum().backward()
    records = [*learner.in_spike_monitor.records, *learner.out_spike_monitor.records]
    assert records and not any(record.requires_grad for record in records)
    learner.step()
    assert not learner.trace_pre.requires_grad
    assert learner.in_spike_monitor.records == learner.out_spike_monitor.records == []


def test_reset_forgets_traces_and_records_but_not_the_neurons():
    net, learner = net_and_learner()
    run(net, spikes())
    learner.step()
    run(net, spikes())
    learner.reset()
    assert learner.trace_pre is None
    assert learner.step(on_grad=False) is None
    assert isinstance(net[1].v, torch.Tensor)


def test_nothing_is_recorded_while_disabled():
    net, learner = net_and_learner()
    learner.disable()
    run(net, spikes())
    assert learner.step(on_grad=False) is None
    learner.enable()
    run(net, spikes())
    assert learner.step(on_grad=False) is not None


def test_traces_follow_the_type_of_the_layer():
    net, learner = net_and_learner(dtype=torch.float32)
    run(net, spikes(dtype=torch.float32))
    learner.step()
    net.double()
    functional.reset_net(net)
    run(net, spikes())
    assert learner.step(on_grad=False).dtype == torch.float64
    learner.float()
    assert learner.trace_pre.dtype == net[0].weight.dtype == torch.float32


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("kind", ["linear", "conv2d"])
def test_half_precision(kind, dtype):
    net, learner = net_and_learner("m", kind, dtype)
    run(net, spikes(kind, dtype=dtype))
    assert learner.step(on_grad=False).dtype == dtype


def test_a_copy_learns_from_its_own_records():
    net, learner = net_and_learner()
    run(net, spikes())
    twin = copy.deepcopy(learner)
    dw = learner.step(on_grad=False)
    torch.testing.assert_close(twin.step(on_grad=False), dw)


def test_a_batch_of_another_size_needs_a_reset():
    net, learner = net_and_learner()
    run(net, spikes())
    learner.step()
    functional.reset_net(net)
    run(net, spikes()[:, :1])
    with pytest.raises(ValueError, match=r"\(1, 4\).*trace \(3, 4\).*reset the learner"):
        learner.step()


def test_shapes_that_change_between_calls_are_refused():
    net, learner = net_and_learner()
    run(net, spikes())
    functional.reset_net(net)
    run(net, spikes()[:, :1])
    with pytest.raises(ValueError, match="shape of the spikes changed since the last step"):
        learner.step()


def test_calls_of_the_layer_alone_are_refused():
    net, learner = net_and_learner()
    net[0](spikes()[0])
    with pytest.raises(RuntimeError, match="called 1 times and its neurons 0 times; call reset"):
        learner.step()
    learner.reset()
    assert learner.step() is None


def test_another_step_mode_than_that_of_the_net_is_refused():
    net, learner = net_and_learner("s")
    functional.set_step_mode(net, "m")
    run(net, spikes())
    with pytest.raises(ValueError, match="step mode 's', but its neurons are in 'm'"):
        learner.step()


def test_layers_inside_the_neurons_are_not_recorded():
    torch.manual_seed(0)
    outer = nn.Sequential(nn.Sequential(neuron.IFNode()))
    fc = nn.Linear(4, 5)
    learner = learning.STDPLearner("s", fc, outer, 2.0, 2.0)
    outer(fc(spikes(dtype=torch.float32)[0]))
    assert learner.step(on_grad=False).shape == (5, 4)


@pytest.mark.parametrize(
    "synapse",
    [nn.Conv3d(1, 1, 1), nn.ReLU(), nn.Conv2d(2, 2, 1, groups=2), nn.Conv1d(1, 1, 1, dilation=2)],
)
def test_other_layers_are_refused(synapse):
    with pytest.raises(NotImplementedError, match="STDPLearner is defined for"):
        learning.STDPLearner("s", synapse, neuron.IFNode(), 2.0, 2.0)


def test_bad_arguments_are_refused():
    fc, sn = nn.Linear(1, 1), neuron.IFNode()
    with pytest.raises(ValueError, match="step_mode can only be"):
        learning.STDPLearner("x", fc, sn, 2.0, 2.0)
    with pytest.raises(ValueError, match="tau_post must be a finite number of steps"):
        learning.STDPLearner("s", fc, sn, 2.0, 0.0)


def test_repr_tells_the_time_constants():
    _, learner = net_and_learner()
    assert repr(learner).startswith("STDPLearner(\n  step_mode=s, tau_pre=2.0, tau_post=3.0\n")
