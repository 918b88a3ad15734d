"""QIFNode: the parabola, its fixed points and its arguments."""

import math

import pytest
import torch

from sj_neurons import neuron, surrogate

DETACH = pytest.mark.parametrize("detach_reset", [True, False])


@pytest.mark.parametrize("v_reset", [-0.1, 0.0, None], ids=["offset", "hard", "soft"])
@DETACH
def test_gradient_equals_the_unrolled_equations(oracle, v_reset, detach_reset):
    node = neuron.QIFNode(
        3.0, 0.6, 1.2, 0.9, 0.1, v_reset, surrogate.ATan(), detach_reset, "m", "torch", True
    ).double()

    def step(x, v):
        h = v + (x + 1.2 * (v - 0.1) * (v - 0.6)) / 3
        s = oracle.spike(h - 0.9)
        return s, oracle.reset(h, s.detach() if detach_reset else s, 0.9, v_reset)

    oracle.compare(node, step, [v_reset or 0.0], oracle.x_seq(8, 2, 3))


@pytest.mark.parametrize(("start", "end"), [(0.1, 0.0), (0.79, 0.0), (0.8, 0.8)])
def test_without_input_the_membrane_returns_to_rest_below_the_critical_potential(start, end):
    node = neuron.QIFNode(v_threshold=math.inf, step_mode="m")
    node.v = torch.tensor([start], dtype=torch.float64)
    node(torch.zeros(200, 1, dtype=torch.float64))
    assert node.v.item() == pytest.approx(end, abs=1e-6)


def test_above_the_critical_potential_it_fires_by_itself():
    node = neuron.QIFNode(step_mode="m")
    node.v = torch.tensor([0.85])
    assert node(torch.zeros(30, 1)).sum() >= 1
    assert neuron.QIFNode().v == -0.1


def test_a_threshold_per_channel(oracle):
    x = oracle.x_seq(8, 2, 2)
    thresholds = torch.tensor([0.5, 1.5], dtype=torch.float64)
    together = neuron.QIFNode(v_threshold=thresholds, step_mode="m")(x)
    for c, v_threshold in enumerate((0.5, 1.5)):
        alone = neuron.QIFNode(v_threshold=v_threshold, step_mode="m")(x[..., c])
        assert torch.equal(together[..., c], alone)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"tau": 1}, ValueError, "QIFNode: tau must be greater than 1"),
        ({"a0": 0}, ValueError, "QIFNode: a0 must be greater than 0, got 0"),
        ({"a0": math.inf}, ValueError, "a0 must be greater than 0, got inf"),
        ({"a0": "1"}, TypeError, "a0 must be a number"),
        ({"v_c": None}, TypeError, "v_c must be a number"),
        ({"v_threshold": -0.1}, ValueError, "v_threshold must be greater than v_reset"),
        ({"v_threshold": torch.tensor([1.0, -1.0])}, ValueError, "greater than v_reset"),
        ({"v_rest": -0.2}, ValueError, "v_rest must not be below v_reset"),
    ],
)
def test_bad_arguments_are_named(arguments, error, message):
    with pytest.raises(error, match=message):
        neuron.QIFNode(**arguments)


def test_whole_numbers_are_accepted():
    node = neuron.QIFNode(tau=2, v_c=1, a0=1, v_threshold=2, v_rest=0, v_reset=None)
    assert "v_threshold=2.0" in repr(node) and "tau=2.0, v_c=1.0, a0=1.0, v_rest=0.0" in repr(node)
