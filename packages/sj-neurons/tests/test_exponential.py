"""EIFNode: the exponential onset, its limit and its arguments."""

import math

import pytest
import torch

from sj_neurons import neuron, surrogate


@pytest.mark.parametrize("v_reset", [-0.1, 0.0, None], ids=["offset", "hard", "soft"])
@pytest.mark.parametrize("detach_reset", [True, False])
def test_gradient_equals_the_unrolled_equations(oracle, v_reset, detach_reset):
    node = neuron.EIFNode(
        3.0, 0.5, 0.7, 0.9, 0.1, v_reset, surrogate.ATan(), detach_reset, "m", "torch", True
    ).double()

    def step(x, v):
        h = v + (x + 0.1 - v + 0.5 * torch.exp((v - 0.7) / 0.5)) / 3
        s = oracle.spike(h - 0.9)
        return s, oracle.reset(h, s.detach() if detach_reset else s, 0.9, v_reset)

    oracle.compare(node, step, [v_reset or 0.0], oracle.x_seq(8, 2, 3))


def test_far_below_the_onset_it_is_a_leaky_neuron(oracle):
    x = oracle.x_seq(8, 2, high=1.0)
    node = neuron.EIFNode(delta_T=0.01, theta_rh=5.0, v_reset=0.0, step_mode="m")
    lif = neuron.LIFNode(step_mode="m")
    torch.testing.assert_close(node(x), lif(x))
    torch.testing.assert_close(node.v, lif.v)


def test_the_onset_contributes_delta_t_at_the_rheobase():
    node = neuron.EIFNode(delta_T=0.5, theta_rh=0.75, v_rest=0.75, v_threshold=9.0)
    node.v = torch.tensor([0.75])
    node(torch.zeros(1))
    assert node.v.item() == pytest.approx(0.75 + 0.5 / 2)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"tau": 0.5}, ValueError, "EIFNode: tau must be greater than 1"),
        ({"delta_T": 0.0}, ValueError, "EIFNode: delta_T must be greater than 0"),
        ({"delta_T": math.nan}, ValueError, "delta_T must be greater than 0"),
        ({"theta_rh": "a"}, TypeError, "theta_rh must be a number"),
        ({"v_rest": True}, TypeError, "v_rest must be a number"),
    ],
)
def test_bad_arguments_are_named(arguments, error, message):
    with pytest.raises(error, match=message):
        neuron.EIFNode(**arguments)


def test_repr_shows_every_number():
    assert "tau=2.0, delta_T=1.0, theta_rh=0.8, v_rest=0.0" in repr(neuron.EIFNode())
