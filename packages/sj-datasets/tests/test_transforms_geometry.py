"""Where flips, rolls, turns, shears and cut-outs send each pixel."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sj_datasets.events import Events
from sj_datasets.frames import integrate_events_by_fixed_frames_number
from sj_datasets.transforms import Denoise, cutout, flip, roll, rotate, shear

few = settings(max_examples=40)

H, W = 7, 9


@st.composite
def recordings(draw) -> Events:
    n = draw(st.integers(0, 30))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return Events.from_arrays(
        t=np.sort(rng.integers(-50, 1000, n)),
        x=rng.integers(0, W, n),
        y=rng.integers(0, H, n),
        p=rng.integers(0, 2, n),
        sensor_size=(H, W),
    )


def frames_of(events: Events) -> np.ndarray:
    return integrate_events_by_fixed_frames_number(events, "number", 1, H, W)


@pytest.mark.parametrize("axis", ["horizontal", "vertical", "polarity", "time"])
@few
@given(events=recordings())
def test_a_flip_is_its_own_inverse(axis, events):
    assert flip(flip(events, axis), axis) == events
    frames = np.random.default_rng(0).random((3, 2, H, W))
    np.testing.assert_array_equal(flip(flip(frames, axis), axis), frames)


@pytest.mark.parametrize("axis", ["horizontal", "vertical", "polarity"])
@few
@given(events=recordings())
def test_events_and_their_frames_flip_alike(axis, events):
    np.testing.assert_array_equal(frames_of(flip(events, axis)), flip(frames_of(events), axis))


@few
@given(events=recordings(), rows=st.integers(-20, 20), columns=st.integers(-20, 20))
def test_a_roll_loses_nothing_and_can_be_undone(events, rows, columns):
    rolled = roll(events, rows, columns)
    assert roll(rolled, -rows, -columns) == events
    np.testing.assert_array_equal(frames_of(rolled), roll(frames_of(events), rows, columns))
    np.testing.assert_array_equal(
        frames_of(rolled), np.roll(frames_of(events), (rows, columns), (2, 3))
    )


@few
@given(events=recordings())
def test_a_half_turn_is_two_flips(events):
    expected = flip(flip(events, "horizontal"), "vertical")
    assert rotate(events, 180) == expected
    np.testing.assert_array_equal(rotate(frames_of(events), 180), frames_of(expected))


def test_a_quarter_turn_is_counter_clockwise():
    image = np.arange(25).reshape(1, 5, 5)
    np.testing.assert_array_equal(rotate(image, 90)[0], np.rot90(image[0]))
    right = Events.from_arrays(t=[0], x=[4], y=[2], p=[1], sensor_size=(5, 5))
    up = rotate(right, 90)
    assert (up["x"][0], up["y"][0]) == (2, 0)


@few
@given(events=recordings(), degrees=st.floats(-180, 180))
def test_a_turn_drops_only_what_leaves(events, degrees):
    turned = rotate(events, degrees)
    centre = np.hypot(events["x"] - (W - 1) / 2, events["y"] - (H - 1) / 2)
    assert turned.count >= np.count_nonzero(centre < (min(H, W) - 1) / 2)


@few
@given(events=recordings(), factor=st.sampled_from([-2.0, -1.0, 0.0, 1.0, 3.0]))
def test_events_and_their_frames_shear_alike(events, factor):
    np.testing.assert_array_equal(
        frames_of(shear(events, factor)), shear(frames_of(events), factor)
    )


def test_a_shear_moves_rows_by_their_distance_from_the_middle():
    image = np.zeros((1, 5, 5), np.uint8)
    image[0, :, 2] = 1
    np.testing.assert_array_equal(shear(image, 1.0)[0], np.eye(5, dtype=np.uint8))


@few
@given(events=recordings(), row=st.integers(-3, 9), column=st.integers(-3, 9))
def test_a_cut_out_empties_the_rectangle_and_no_more(events, row, column):
    ranges = range(row, row + 3), range(column, column + 4)
    changed, frames = frames_of(cutout(events, *ranges)), frames_of(events)
    np.testing.assert_array_equal(changed, cutout(frames, *ranges))
    inside = np.zeros((H, W), bool)
    inside[max(row, 0) : max(row + 3, 0), max(column, 0) : max(column + 4, 0)] = True
    assert not changed[..., inside].any()
    np.testing.assert_array_equal(changed[..., ~inside], frames[..., ~inside])


def test_a_cut_out_needs_plain_ranges():
    with pytest.raises(ValueError, match="without step"):
        cutout(np.zeros((2, 3, 3)), range(0, 4, 2), range(2))


def test_polarities_of_every_kind_are_flipped():
    for given_p, expected in (
        (np.array([True, False]), [False, True]),
        (np.array([-1, 1], np.int8), [1, -1]),
        (np.array([0, 1], np.int8), [1, 0]),
    ):
        columns = {"t": np.arange(2), "x": np.zeros(2, int), "p": given_p}
        assert flip(columns, "polarity")["p"].tolist() == expected


def test_flips_of_frames_need_the_dimension():
    with pytest.raises(ValueError, match=r"\[T, 2, H, W\] to flip time"):
        flip(np.zeros((2, 3, 3)), "time")
    with pytest.raises(ValueError, match="axis must be"):
        flip(np.zeros((2, 3, 3)), "depth")  # type: ignore[arg-type]


def test_times_in_seconds_are_mirrored():
    train = {"t": np.array([0.0, 0.25, 1.0], np.float16), "x": np.array([1, 2, 3], np.uint16)}
    mirrored = flip(train, "time")
    assert mirrored["t"].tolist() == [0.0, 0.75, 1.0]
    assert mirrored["x"].tolist() == [3, 2, 1]
    assert mirrored["t"].dtype == np.float16


@pytest.mark.parametrize(
    ("transform", "missing"),
    [
        (lambda events: cutout(events, range(1), range(3)), "y"),
        (lambda events: rotate(events, 20, sensor_size=(1, 700)), "y"),
        (lambda events: flip(events, "vertical", sensor_size=(1, 700)), "y"),
        (lambda events: flip(events, "polarity"), "p"),
        (Denoise(1.0), "y"),
    ],
)
def test_what_spike_trains_do_not_have_is_named(transform, missing):
    train = {"t": np.array([0.1, 0.2]), "x": np.array([3, 650])}
    with pytest.raises(ValueError, match=f"needs {missing}, the events have t, x"):
        transform(train)
