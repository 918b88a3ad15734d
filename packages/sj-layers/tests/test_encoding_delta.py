"""A spike where the signal has moved."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sj_layers.encoding import DeltaEncoder

THRESHOLD = 0.25


@given(
    moves=st.lists(st.floats(-THRESHOLD, THRESHOLD, width=32), min_size=1, max_size=60),
    start=st.floats(-5, 5, width=32),
)
def test_the_sum_of_spikes_follows_a_slow_signal(moves, start):
    x_seq = start + torch.tensor([0.0, *moves], dtype=torch.float64).cumsum(0).unsqueeze(1)
    spike = DeltaEncoder(THRESHOLD, step_mode="m")(x_seq)
    assert set(spike.flatten().tolist()) <= {-1.0, 0.0, 1.0}
    received = x_seq[0] + THRESHOLD * spike.cumsum(0)
    assert (received - x_seq).abs().max() <= THRESHOLD + 1e-9


@given(values=st.lists(st.floats(-2, 2, width=32), min_size=1, max_size=40))
def test_steps_follow_the_documented_equation(values):
    encoder = DeltaEncoder(THRESHOLD)
    level = values[0]
    for value in values:
        d = value - level
        expected = float(d >= THRESHOLD) - float(d <= -THRESHOLD)
        level += THRESHOLD * expected
        assert encoder(torch.tensor([value], dtype=torch.float64)).item() == expected
        assert encoder.level.item() == level


def test_a_falling_signal_is_the_mirror_of_a_rising_one():
    x_seq = torch.randn(20, 3, generator=torch.Generator().manual_seed(0)).cumsum(0)
    up, down = DeltaEncoder(0.5, step_mode="m"), DeltaEncoder(0.5, step_mode="m")
    assert torch.equal(up(x_seq), -down(-x_seq))


def test_a_jump_is_caught_up_with_one_threshold_per_step():
    x_seq = torch.tensor([[0.0], [1.0], [1.0], [1.0], [1.0], [1.0]])
    assert DeltaEncoder(0.25, step_mode="m")(x_seq).flatten().tolist() == [0, 1, 1, 1, 1, 0]


def test_a_constant_signal_is_silent_whatever_its_level():
    assert DeltaEncoder(0.1, step_mode="m")(torch.full((5, 2), 3.0)).sum() == 0


def test_frames_of_bytes_do_not_wrap_around():
    x_seq = torch.tensor([[200], [100]], dtype=torch.uint8)
    spike = DeltaEncoder(50, step_mode="m")(x_seq)
    assert spike.dtype == torch.float32
    assert spike.flatten().tolist() == [0.0, -1.0]


def test_nan_never_fires():
    x_seq = torch.tensor([[0.0], [torch.nan], [1.0]])
    assert DeltaEncoder(0.5, step_mode="m")(x_seq).flatten().tolist() == [0.0, 0.0, 1.0]


def test_the_level_is_not_the_input_itself():
    x = torch.zeros(2)
    encoder = DeltaEncoder(0.5)
    encoder(x)
    x.fill_(1.0)
    assert encoder(x).tolist() == [1.0, 1.0]


def test_another_shape_without_a_reset_is_refused():
    encoder = DeltaEncoder(0.5)
    encoder(torch.zeros(2, 3))
    with pytest.raises(ValueError, match=r"input \(1, 3\).*level \(2, 3\).*reset\(\)"):
        encoder(torch.zeros(1, 3))


@pytest.mark.parametrize(
    ("threshold", "error"),
    [(0, ValueError), (-1.0, ValueError), (float("nan"), ValueError), ("1", TypeError)],
)
def test_threshold_out_of_range_is_refused(threshold, error):
    with pytest.raises(error, match="DeltaEncoder: threshold must be"):
        DeltaEncoder(threshold)
