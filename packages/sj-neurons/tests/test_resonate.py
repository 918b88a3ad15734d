"""RAFNode: damped oscillation and resonance."""

import cmath
import math

import pytest
import torch

from sj_neurons import neuron, surrogate


@pytest.mark.parametrize("v_reset", [0.0, -0.2, None], ids=["hard", "offset", "soft"])
@pytest.mark.parametrize("detach_reset", [True, False])
def test_gradient_equals_the_unrolled_equations(oracle, v_reset, detach_reset):
    node = neuron.RAFNode(
        -0.1, 0.8, 0.9, 0.5, v_reset, surrogate.ATan(), detach_reset, "m", "torch", True
    )
    alpha, cos, sin = math.exp(-0.09), math.cos(0.72), math.sin(0.72)

    def step(x, v, u):
        h = alpha * (u * sin + v * cos)
        s = oracle.spike(h - 0.5)
        v_new = oracle.reset(h, s.detach() if detach_reset else s, 0.5, v_reset)
        return s, v_new, alpha * (u * cos - v * sin) + x

    oracle.compare(node, step, [v_reset or 0.0, 0.0], oracle.x_seq(8, 2, 3))


def test_pulse_response_is_a_complex_exponential():
    node = neuron.RAFNode(-0.1, 0.7, v_threshold=99.0, step_mode="m")
    x = torch.zeros(6, 1, dtype=torch.float64)
    x[0] = 1.0
    node(x)
    z = cmath.exp((-0.1 + 0.7j) * 5)  # u + iv, five steps after the pulse
    assert (node.u.item(), node.v.item()) == pytest.approx((z.real, z.imag))


def test_it_answers_to_its_own_frequency():
    t = torch.arange(40.0).unsqueeze(1)

    def peak(omega: float) -> float:
        node = neuron.RAFNode(-0.1, 1.0, v_threshold=99.0, step_mode="m", store_v_seq=True)
        node(torch.sin(omega * t))
        return node.v_seq.max().item()

    assert peak(1.0) > 2 * max(peak(0.3), peak(2.5))


def test_hooks_of_a_subclass_are_used(oracle):
    class Same(neuron.RAFNode):
        def neuronal_charge(self, x):
            super().neuronal_charge(x)

    x = oracle.x_seq(8, 2, 3)
    plain, same = neuron.RAFNode(step_mode="m"), Same(step_mode="m")
    assert torch.equal(same(x), plain(x))
    assert torch.equal(same.v, plain.v) and torch.equal(same.u, plain.u)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"dt": 0}, ValueError, "RAFNode: dt must be greater than 0"),
        ({"b": None}, TypeError, "RAFNode: b must be a number"),
        ({"omega": "1"}, TypeError, "RAFNode: omega must be a number"),
    ],
)
def test_bad_arguments_are_named(arguments, error, message):
    with pytest.raises(error, match=message):
        neuron.RAFNode(**arguments)


def test_repr_shows_every_number():
    assert "b=-0.2, omega=1.0, dt=1.0" in repr(neuron.RAFNode())
