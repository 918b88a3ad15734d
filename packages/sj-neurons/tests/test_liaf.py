"""LIAFNode: analog output of a spiking membrane, in every mode."""

import pytest
import torch

from sj_neurons import neuron, surrogate


@pytest.mark.parametrize("v_reset", [0.0, -0.2, None], ids=["hard", "offset", "soft"])
@pytest.mark.parametrize("threshold_related", [True, False])
@pytest.mark.parametrize("detach_reset", [True, False])
def test_gradient_equals_the_unrolled_equations(oracle, v_reset, threshold_related, detach_reset):
    node = neuron.LIAFNode(
        torch.tanh, threshold_related, 3.0, True, 0.8, v_reset, surrogate.ATan(), detach_reset,
        "m", "torch", True,
    ).double()  # fmt: skip
    rest = v_reset or 0.0

    def step(x, v):
        h = v + (x - v + rest) / 3
        s = oracle.spike(h - 0.8)
        gate = s.detach() if detach_reset else s
        return torch.tanh(h - 0.8 if threshold_related else h), oracle.reset(h, gate, 0.8, v_reset)

    oracle.compare(node, step, [rest], oracle.x_seq(8, 2, 3))


@pytest.mark.parametrize("mode", ["s", "m"])
@pytest.mark.parametrize("training", [True, False])
def test_output_is_the_activation_and_the_state_is_that_of_a_lif(oracle, mode, training):
    x = oracle.x_seq(8, 2, 3, high=9.0)
    node = neuron.LIAFNode(torch.relu, True, 3.7, step_mode=mode).train(training)
    lif = neuron.LIFNode(3.7, step_mode="m")
    y = node(x) if mode == "m" else torch.stack([node(x_t) for x_t in x])
    assert torch.equal(y > 0, lif(x) > 0)  # relu(h - v_threshold) is positive where the LIF fires
    assert y.unique().numel() > 2
    assert torch.equal(node.v, lif.v)


def test_a_module_as_activation_is_learned():
    node = neuron.LIAFNode(torch.nn.PReLU(), False, step_mode="m")
    node(-torch.rand(4, 3)).sum().backward()
    assert node.act.weight.grad.abs() > 0
    assert "threshold_related=False" in repr(node)


def test_hooks_of_a_subclass_are_used(oracle):
    class Doubled(neuron.LIAFNode):
        def neuronal_charge(self, x):
            self.v = self.charge(2 * x, self.v)

    x = oracle.x_seq(8, 2, 3)
    for threshold_related in (True, False):
        hooked = Doubled(torch.relu, threshold_related, step_mode="m")
        plain = neuron.LIAFNode(torch.relu, threshold_related, step_mode="m")
        assert torch.equal(hooked(x), plain(2 * x))
        assert torch.equal(hooked.v, plain.v)


def test_a_threshold_per_channel():
    node = neuron.LIAFNode(torch.relu, True, 2.0, v_threshold=torch.tensor([0.5, 2.0]))
    assert node(torch.full((1, 2), 3.0)).tolist() == [[1.0, 0.0]]


def test_bad_arguments_are_named():
    with pytest.raises(TypeError, match=r"LIAFNode: act must be callable, such as torch\.relu"):
        neuron.LIAFNode("relu", True)
    with pytest.raises(ValueError, match="LIAFNode: tau"):
        neuron.LIAFNode(torch.relu, True, tau=1)
