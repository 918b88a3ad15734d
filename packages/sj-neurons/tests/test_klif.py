"""KLIFNode: the gain, where the reset stands, NaN."""

import math

import pytest
import torch

from sj_neurons import neuron, surrogate


@pytest.mark.parametrize("v_reset", [0.0, -0.2, None], ids=["hard", "offset", "soft"])
@pytest.mark.parametrize("scale_reset", [True, False])
@pytest.mark.parametrize("decay_input", [True, False])
@pytest.mark.parametrize("detach_reset", [True, False])
def test_gradient_equals_the_unrolled_equations(
    oracle, v_reset, scale_reset, decay_input, detach_reset
):
    node = neuron.KLIFNode(
        scale_reset, 3.0, decay_input, 0.8, v_reset, surrogate.ATan(), detach_reset, "m",
        "torch", True,
    ).double()  # fmt: skip
    with torch.no_grad():
        node.k.fill_(1.3)
    k, rest = node.k, v_reset or 0.0

    def step(x, v):
        h = v + (x - v + rest) / 3 if decay_input else v + x - (v - rest) / 3
        h = torch.relu(k * h)
        s = oracle.spike(h - 0.8)
        gate = s.detach() if detach_reset else s
        if scale_reset:
            return s, oracle.reset(h / k, gate, 0.8 / k, v_reset)
        return s, oracle.reset(h, gate, 0.8, v_reset)

    oracle.compare(node, step, [rest], oracle.x_seq(8, 2, 3))


def test_with_gain_1_and_positive_input_it_is_a_lif(oracle):
    x = oracle.x_seq(8, 2, 3, low=0.0)
    assert torch.equal(neuron.KLIFNode(step_mode="m")(x), neuron.LIFNode(step_mode="m")(x))


def test_the_potential_is_never_negative(oracle):
    node = neuron.KLIFNode(step_mode="m", store_v_seq=True)
    node(oracle.x_seq(8, 2, 3, low=-2.0, high=0.0))
    assert node.v_seq.eq(0).all()


def test_at_zero_the_gain_passes_no_gradient():
    node = neuron.KLIFNode()
    x = torch.zeros(1, requires_grad=True)
    node(x).backward()
    assert x.grad.item() == 0.0


def test_nan_never_fires_and_stays():
    node = neuron.KLIFNode(step_mode="m")
    assert node(torch.tensor([[math.nan], [9.0]])).tolist() == [[0.0], [0.0]]
    assert node.v.isnan().all()


def test_gain_is_learned_and_saved():
    node = neuron.KLIFNode(step_mode="m")
    assert node.k.shape == () and node.k.item() == 1.0
    node(torch.rand(8, 3)).sum().backward()
    assert node.k.grad.abs() > 0
    assert set(node.state_dict()) == {"k"}
    assert "scale_reset=False" in repr(node)
    with pytest.raises(ValueError, match="KLIFNode: tau must be greater than 1"):
        neuron.KLIFNode(tau=1)
