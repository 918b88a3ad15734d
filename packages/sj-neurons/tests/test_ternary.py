"""Ternary neurons: odd symmetry, resets by the magnitude of the spike."""

import math

import pytest
import torch

from sj_neurons import neuron, surrogate

BOTH = pytest.mark.parametrize("cls", [neuron.TernaryIFNode, neuron.TernaryLIFNode])
RESETS = pytest.mark.parametrize("v_reset", [0.0, -0.2, None], ids=["hard", "offset", "soft"])


@BOTH
@RESETS
@pytest.mark.parametrize("detach_reset", [True, False])
def test_gradient_equals_the_unrolled_equations(oracle, cls, v_reset, detach_reset):
    node = cls(
        v_threshold=0.8,
        v_reset=v_reset,
        surrogate_function=surrogate.ATan(),
        detach_reset=detach_reset,
        step_mode="m",
        store_v_seq=True,
    )
    rest = v_reset or 0.0

    def step(x, v):
        h = v + x if cls is neuron.TernaryIFNode else v + (x - v + rest) / 2
        up, down = oracle.spike(h - 0.8), oracle.spike(-h - 0.8)
        s = up - down
        gate = s if v_reset is None else up + down
        return s, oracle.reset(h, gate.detach() if detach_reset else gate, 0.8, v_reset)

    oracle.compare(node, step, [rest], oracle.x_seq(10, 2, 3, low=-3.0, high=3.0))


@BOTH
@pytest.mark.parametrize("v_reset", [0.0, None])
def test_the_mirrored_input_gives_the_mirrored_spikes(oracle, cls, v_reset):
    x = oracle.x_seq(10, 2, 3, low=-3.0, high=3.0)
    node, mirror = (cls(v_reset=v_reset, step_mode="m") for _ in range(2))
    y = node(x)
    assert set(y.unique().tolist()) == {-1.0, 0.0, 1.0}
    assert torch.equal(mirror(-x), -y)
    assert torch.equal(mirror.v, -node.v)


def test_soft_reset_conserves_charge_of_both_signs(oracle):
    x = oracle.x_seq(10, 2, 3, low=-3.0, high=3.0)
    node = neuron.TernaryIFNode(v_threshold=0.8, v_reset=None, step_mode="m")
    spikes = node(x)
    torch.testing.assert_close(0.8 * spikes.sum(0) + node.v, x.sum(0))


def test_hard_reset_lands_on_v_reset_from_either_side():
    node = neuron.TernaryIFNode(v_reset=0.25)
    assert node(torch.tensor([-9.0, 9.0])).tolist() == [-1.0, 1.0]
    assert node.v.tolist() == [0.25, 0.25]


@RESETS
def test_nan_never_fires_and_stays(v_reset):
    node = neuron.TernaryLIFNode(v_reset=v_reset, step_mode="m")
    assert node(torch.tensor([[math.nan], [-9.0]])).tolist() == [[0.0], [0.0]]
    assert node.v.isnan().all()


@pytest.mark.parametrize("v_reset", [0.0, None])
def test_hooks_of_a_subclass_are_used(v_reset):
    class Silent(neuron.TernaryIFNode):
        def neuronal_fire(self):
            return torch.zeros_like(self.v)

    node = Silent(v_reset=v_reset, step_mode="m")
    assert node(torch.tensor([[-2.0, 2.0]])).eq(0).all()
    assert node.v.tolist() == [-2.0, 2.0]  # what does not fire is not reset


def test_a_threshold_per_channel():
    node = neuron.TernaryIFNode(torch.tensor([0.5, 2.0]), None)
    assert node(torch.tensor([[-1.0, -1.0], [1.0, 3.0]])).tolist() == [[-1.0, 0.0], [1.0, 1.0]]
    assert node.v.tolist() == [[-0.5, -1.0], [0.5, 1.0]]
