"""Integer counts and binary slots."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sj_layers import spike_count


@given(st.integers(1, 5), st.integers(1, 4), st.integers(0, 100))
def test_slots_sum_to_the_counts(num_slots, T, seed):
    generator = torch.Generator().manual_seed(seed)
    counts = torch.randint(0, num_slots + 1, (T, 3), generator=generator).float()
    to_slots = spike_count.SpikeCountToBinary(num_slots, always_convert=True)
    to_counts = spike_count.TemporalBinSum(num_slots, always_convert=True)
    slots = to_slots(counts)
    assert slots.shape == (T * num_slots, 3)
    assert set(slots.unique().tolist()) <= {0.0, 1.0}
    assert torch.equal(to_counts(slots), counts)


def test_a_count_receives_the_mean_gradient_of_its_slots():
    counts = torch.tensor([[2.0]], requires_grad=True)
    slots = spike_count.SpikeCountToBinary(4, True)(counts)
    (slots * torch.tensor([1.0, 2.0, 3.0, 6.0]).view(-1, 1)).sum().backward()
    assert slots.flatten().tolist() == [1, 1, 0, 0]
    assert counts.grad.item() == 3.0


@pytest.mark.parametrize("name", spike_count.__all__)
def test_training_leaves_counts_alone(name):
    layer = getattr(spike_count, name)(2)
    x = torch.rand(4, 3)
    assert layer(x) is x
    assert layer.eval()(x).shape[0] == (8 if name == "SpikeCountToBinary" else 2)
    with pytest.raises(ValueError, match="num_slots must be at least 1"):
        getattr(spike_count, name)(0)
