"""ComplementaryLIFNode: the second trace deepens the reset."""

import math

import pytest
import torch

from sj_neurons import neuron, surrogate


@pytest.mark.parametrize("detach_reset", [True, False])
def test_gradient_equals_the_unrolled_equations(oracle, detach_reset):
    node = neuron.ComplementaryLIFNode(3.0, 0.8, surrogate.ATan(), "m", "torch", True, detach_reset)

    def step(x, v, m):
        h = v * (2 / 3) + x
        s = oracle.spike(h - 0.8)
        gate = s.detach() if detach_reset else s
        m = m / (1 + torch.exp(-h / 3)) + gate
        return s, h - gate * (0.8 + 1 / (1 + torch.exp(-m))), m

    oracle.compare(node, step, [0.0, 0.0], oracle.x_seq(8, 2, 3))


def test_without_spikes_it_is_a_leaky_neuron(oracle):
    x = oracle.x_seq(8, 2, 3, high=0.2)
    node = neuron.ComplementaryLIFNode(3.0, step_mode="m")
    lif = neuron.LIFNode(3.0, False, v_reset=None, step_mode="m")
    assert node(x).sum() == lif(x).sum() == 0
    torch.testing.assert_close(node.v, lif.v)
    assert node.m.eq(0).all()


def test_one_spike_takes_off_the_threshold_and_the_sigmoid_of_the_trace():
    node = neuron.ComplementaryLIFNode()
    assert node(torch.tensor([1.5], dtype=torch.float64)).item() == 1.0
    assert node.m.item() == 1.0
    assert node.v.item() == pytest.approx(0.5 - 1 / (1 + math.exp(-1)))
    node.reset()
    assert (node.v, node.m) == (0.0, 0.0)


def test_hooks_of_a_subclass_are_used(oracle):
    class Same(neuron.ComplementaryLIFNode):
        def neuronal_charge(self, x):
            super().neuronal_charge(x)

    x = oracle.x_seq(8, 2, 3)
    plain, same = neuron.ComplementaryLIFNode(step_mode="m"), Same(step_mode="m")
    assert torch.equal(same(x), plain(x))
    assert torch.equal(same.v, plain.v) and torch.equal(same.m, plain.m)


def test_defaults_and_errors():
    node = neuron.ComplementaryLIFNode()
    assert isinstance(node.surrogate_function, surrogate.Rect)
    assert node.v_reset is None and "tau=2.0" in repr(node)
    with pytest.raises(ValueError, match="ComplementaryLIFNode: tau must be greater than 1"):
        neuron.ComplementaryLIFNode(tau=1)
