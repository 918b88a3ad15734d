"""ILIFNode: whole numbers of spikes."""

import pytest
import torch

from sj_neurons import neuron, surrogate


@pytest.mark.parametrize("detach_reset", [True, False])
def test_gradient_equals_the_unrolled_equations(oracle, detach_reset):
    node = neuron.ILIFNode(1.5, 0.8, None, detach_reset, "m", "torch", True)

    def step(x, v):
        h = v - v / 1.5 + x
        level = h / 0.8
        clamped = level.clamp(0, 4)  # gradient 1 on [0, 4]
        s = clamped + (clamped.round() - clamped).detach()
        return s, h - (s.detach() if detach_reset else s) * 0.8

    oracle.compare(node, step, [0.0], oracle.x_seq(8, 2, 3, high=5.0))


def test_counts_stay_in_range_and_take_whole_thresholds_off(oracle):
    x = oracle.x_seq(8, 2, 3, high=5.0)
    node = neuron.ILIFNode(surrogate_function=surrogate.MultiLevelSpikeCount(3), step_mode="m")
    counts = node(x)
    assert set(counts.unique().tolist()) == {0.0, 1.0, 2.0, 3.0}
    first = neuron.ILIFNode(v_threshold=0.5)
    assert first(torch.tensor([1.3])).item() == 3.0
    assert first.v.item() == pytest.approx(-0.2)


def test_a_threshold_per_channel():
    node = neuron.ILIFNode(v_threshold=torch.tensor([0.5, 2.0]))
    assert node(torch.full((1, 2), 2.0)).tolist() == [[4.0, 1.0]]


def test_defaults_and_errors():
    node = neuron.ILIFNode()
    assert node.tau == pytest.approx(4 / 3)
    assert node.v_reset is None and not node.decay_input
    assert isinstance(node.surrogate_function, surrogate.MultiLevelSpikeCount)
    with pytest.raises(ValueError, match="ILIFNode: tau must be greater than 1"):
        neuron.ILIFNode(tau=1)
