"""HalfThresholdIFNode: starts half charged, so that counts round."""

import copy

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sj_neurons import neuron, surrogate


@pytest.mark.parametrize("detach_reset", [True, False])
def test_gradient_equals_the_unrolled_equations(oracle, detach_reset):
    node = neuron.HalfThresholdIFNode(0.8, surrogate.ATan(), detach_reset, "m", "torch", True)

    def step(x, v):
        s = oracle.spike(v + x - 0.8)
        return s, v + x - (s.detach() if detach_reset else s) * 0.8

    oracle.compare(node, step, [0.4], oracle.x_seq(8, 2, 3))


@given(st.floats(0, 0.999), st.integers(1, 16))
def test_the_spike_count_is_the_rounded_charge(current, steps):
    node = neuron.HalfThresholdIFNode(step_mode="m")
    x = torch.full((steps, 1), current, dtype=torch.float64)
    charge = x.sum().item() + 0.5
    if abs(charge - round(charge)) > 1e-6:
        assert node(x).sum().item() == charge // 1


@pytest.mark.parametrize("kind", [torch.tensor, lambda v: torch.nn.Parameter(torch.tensor(v))])
@pytest.mark.parametrize("mode", ["s", "m"])
def test_every_channel_starts_at_its_own_half(kind, mode):
    node = neuron.HalfThresholdIFNode(kind([1.0, 3.0]), step_mode=mode, store_v_seq=True)
    x = torch.full((2, 4, 2), 1.25)
    for _ in range(2):  # the second time after reset
        y = node(x) if mode == "m" else torch.stack([node(x_t) for x_t in x])
        assert y[:, 0].tolist() == [[1.0, 0.0], [1.0, 1.0]]
        assert node.v[0].tolist() == [1.0, 1.0]
        assert torch.equal(node.v, node.v[:1].expand(4, 2))
        node.reset()
    assert node.v.tolist() == [0.5, 1.5]


def test_a_new_shape_without_reset_is_refused():
    node = neuron.HalfThresholdIFNode(torch.tensor([1.0, 3.0]))
    node(torch.zeros(4, 2))
    with pytest.raises(ValueError, match=r"input \(3, 2\).*state \(4, 2\).*reset\(\)"):
        node(torch.zeros(3, 2))


@pytest.mark.parametrize("kind", [torch.tensor, lambda v: torch.nn.Parameter(torch.tensor(v))])
def test_a_tensor_threshold_follows_the_module_and_its_copies(kind):
    node = neuron.HalfThresholdIFNode(kind([1.0, 3.0])).double()
    assert node.v_threshold.dtype == node.v.dtype == torch.float64
    twin = copy.deepcopy(node)
    x = torch.rand(4, 2, dtype=torch.float64)
    assert torch.equal(twin(x), node(x))


def test_the_reset_is_soft_and_bad_arguments_are_named():
    assert neuron.HalfThresholdIFNode(2).v == 1.0
    assert neuron.HalfThresholdIFNode().v_reset is None
    with pytest.raises(TypeError, match="HalfThresholdIFNode: v_threshold must be a number"):
        neuron.HalfThresholdIFNode("1")
