"""Spike firing approximation."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sj_models.spike_firing import SpikeFiring


def node(levels: int = 4, **arguments: float) -> SpikeFiring:
    return SpikeFiring(levels, step_mode="m", **arguments)


def test_rounds_and_cuts_off():
    x = torch.tensor([[-3.0, 0.4, 0.6, 2.2, 3.9, 7.0]])
    assert (4 * node()(x)).tolist() == [[0.0, 0.0, 1.0, 2.0, 4.0, 4.0]]
    assert node(amplitude=1.0)(x).tolist() == [[0.0, 0.0, 1.0, 2.0, 4.0, 4.0]]
    assert (4 * node(v_threshold=0.5)(x)).tolist() == [[0.0, 1.0, 1.0, 4.0, 4.0, 4.0]]


def test_what_is_left_decays_into_the_next_step():
    # h = 1.4 + 0; then 0.25 * 0.4 + 1.4 = 1.5, halves to even
    assert (4 * node()(torch.tensor([[1.4], [1.4]]))).flatten().tolist() == [1.0, 2.0]


def test_gradient_passes_between_the_ends():
    x = torch.tensor([[-0.5, 0.5, 3.0, 4.5]], requires_grad=True)
    node()(x).sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [[0.0, 0.25, 0.25, 0.0]]


@given(st.integers(1, 6), st.integers(1, 3), st.integers(0, 1000))
def test_trains_have_the_mean_of_the_numbers(levels, steps, seed):
    x = 2 * levels * torch.rand(steps, 3, generator=torch.Generator().manual_seed(seed))
    numbers = node(levels)(x)
    spiking = node(levels)
    spiking.spike_driven = True
    train = spiking(spiking.spread(x))
    assert train.shape == (steps * levels, 3)
    assert set(train.unique().tolist()) <= {0.0, 1.0}
    torch.testing.assert_close(spiking.collect(train), numbers)


def test_numbers_are_neither_spread_nor_collected():
    x = torch.rand(2, 3)
    assert node().spread(x) is x
    assert node().collect(x) is x
    assert "levels=4, amplitude=0.25, spike_driven=False" in repr(node())


@pytest.mark.parametrize(("levels", "error"), [(0, ValueError), (1.5, TypeError)])
def test_wrong_number_of_levels(levels, error):
    with pytest.raises(error, match="max_spike_count"):
        SpikeFiring(levels)
