"""Online neurons: the values of a LIF, the gradient of its last step, the trace of its spikes."""

import math

import pytest
import torch
from torch import Tensor

from sj_neurons import neuron, surrogate

T, N, C = 6, 2, 3
ONLINE = [neuron.OTTTLIFNode, neuron.SLTTLIFNode]
EVERY = pytest.mark.parametrize("cls", ONLINE)


@pytest.fixture
def x() -> Tensor:
    return 3 * torch.rand(T, N, C, generator=torch.Generator().manual_seed(0))


def spike_of(output: Tensor | list[Tensor]) -> Tensor:
    return output[0] if isinstance(output, list) else output


@EVERY
@pytest.mark.parametrize("v_reset", [0.0, -0.5, None])
@pytest.mark.parametrize("decay_input", [True, False])
@pytest.mark.parametrize("training", [True, False])
def test_spikes_are_those_of_a_lif(cls, v_reset, decay_input, training, x):
    node = cls(3.0, decay_input, v_reset=v_reset).train(training)
    lif = neuron.LIFNode(3.0, decay_input, v_reset=v_reset)
    for x_t in x:
        assert torch.equal(spike_of(node(x_t)), lif(x_t))
        assert torch.equal(node.v, lif.v)


@EVERY
def test_gradient_is_that_of_each_step_alone_in_float64(cls, x):
    x = x.double().requires_grad_(True)
    node = cls(4.0, False, 0.7, None, surrogate.ATan(), detach_reset=False)
    g = torch.rand(T, N, C, generator=torch.Generator().manual_seed(1)).double()
    expected, loss = [], torch.zeros((), dtype=torch.float64)
    for t, x_t in enumerate(x.unbind(0)):
        v = torch.zeros(N, C).double() if t == 0 else node.v.detach()
        loss = loss + (spike_of(node(x_t)) * g[t]).sum()
        u = (v - v / 4.0 + x_t - 0.7).detach()
        expected.append(g[t] / (1 + (math.pi * u) ** 2))
    (grad,) = torch.autograd.grad(loss, x)
    torch.testing.assert_close(grad, torch.stack(expected), rtol=1e-10, atol=1e-12)


def test_trace_is_a_leaky_count_of_spikes_without_gradient(x):
    node = neuron.OTTTLIFNode(4.0)
    expected = torch.zeros(N, C)
    for x_t in x.requires_grad_(True):
        spike, trace = node(x_t)
        expected = 0.75 * expected + spike.detach()
        torch.testing.assert_close(trace, expected)
        assert spike.requires_grad and not trace.requires_grad
    assert torch.equal(node.trace, trace)
    node.reset()
    assert node.trace == 0.0


def test_trace_stands_still_in_evaluation(x):
    node = neuron.OTTTLIFNode()
    _, trace = node(x[0])
    node.eval()
    assert isinstance(node(x[1]), Tensor)
    assert torch.equal(node.trace, trace)


@EVERY
def test_hooks_of_a_user_are_used(cls, x):
    class Doubled(cls):
        def neuronal_charge(self, x):
            self.v = self.v + 2 * x

    node, reference = Doubled(v_reset=None), neuron.IFNode(v_reset=None)
    for x_t in x:
        assert torch.equal(spike_of(node(x_t)), reference(2 * x_t))
    early = x.clone().requires_grad_(True)
    spike_of(node(early[0]))
    late = x[1].clone().requires_grad_(True)
    spike_of(node(late)).sum().backward()
    assert early.grad is None and late.grad is not None


@EVERY
def test_there_are_single_steps_only(cls):
    assert cls().supported_step_mode() == ("s",)
    assert cls().supported_backends == ("torch",)
    with pytest.raises(ValueError, match="step_mode can only be"):
        cls(step_mode="m")
    with pytest.raises(ValueError, match="tau must be greater than 1"):
        cls(tau=1)


def test_defaults_are_the_documented_ones():
    ottt, sltt = neuron.OTTTLIFNode(), neuron.SLTTLIFNode()
    assert (ottt.tau, ottt.decay_input, ottt.v_reset, ottt.detach_reset) == (2.0, False, None, True)
    assert (sltt.tau, sltt.decay_input, sltt.v_reset, sltt.detach_reset) == (2.0, True, 0.0, True)
