from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sj_datasets.events import Events
from sj_datasets.windows import (
    integrate_events_by_windows,
    slice_by_count,
    slice_by_time,
    window_index,
)

sorted_times = st.lists(st.integers(-30, 30), max_size=20).map(sorted)


def recording(t: list[int]) -> Events:
    N = len(t)
    return Events.from_arrays(t, np.arange(N) % 3, np.zeros(N, int), np.ones(N, int), (2, 3))


@given(sorted_times, st.integers(1, 20), st.integers(-5, 19), st.booleans())
def test_windows_of_time_hold_what_lies_in_them(t, window, overlap, include_incomplete):
    if overlap >= window:
        overlap = window - 1
    slices = slice_by_time({"t": np.array(t, int)}, window, overlap, include_incomplete)
    stride, wanted, begin = window - overlap, [], t[0] if t else 0
    while t and begin + window <= t[-1] + 1:  # complete: ends at the last event or before
        wanted.append([s for s in t if begin <= s < begin + window])
        begin += stride
    if t and include_incomplete and (not wanted or begin - stride + window <= t[-1]):
        wanted.append([s for s in t if begin <= s < begin + window])
    assert [part["t"].tolist() for part in slices] == wanted


@given(sorted_times, st.integers(1, 20), st.integers(0, 19))
def test_windows_that_touch_or_overlap_lose_no_event(t, window, overlap):
    events = recording(t)
    slices = slice_by_time(events, window, min(overlap, window - 1), include_incomplete=True)
    assert {s for part in slices for s in part["t"].tolist()} == set(t)
    counted = integrate_events_by_windows(events, window, 2, 3)
    assert counted.sum() == len(t)


@given(st.integers(0, 25), st.integers(1, 8), st.integers(-3, 7), st.booleans())
def test_windows_of_events_hold_so_many(N, count, overlap, include_incomplete):
    overlap = min(overlap, count - 1)
    slices = slice_by_count(recording(list(range(N))), count, overlap, include_incomplete)
    stride = count - overlap
    complete = [list(range(k, k + count)) for k in range(0, max(0, N - count + 1), stride)]
    found = [part["t"].tolist() for part in slices]
    assert found[: len(complete)] == complete
    if not include_incomplete:
        assert found == complete
    elif overlap >= 0:
        assert {k for part in found for k in part} == set(range(N))


def test_slices_are_views_of_the_same_kind():
    events = recording([0, 5, 12])
    first, second = slice_by_time(events, 6, include_incomplete=True)[:2]
    assert isinstance(first, Events)
    assert first.sensor_size == (2, 3)
    assert np.shares_memory(first.array, events.array)
    assert second["t"].tolist() == []
    part = slice_by_count(events.columns(), 2)[0]
    assert type(part) is dict
    assert part["x"].tolist() == [0, 1]


def test_frames_of_overlapping_windows_count_events_twice():
    frames = integrate_events_by_windows(recording([0, 4, 6, 9]), 6, 2, 3, overlap=3)
    assert frames.shape == (3, 2, 2, 3)
    assert frames.sum((1, 2, 3)).tolist() == [2, 2, 2]
    complete = integrate_events_by_windows(
        recording([0, 4, 6, 9]), 6, 2, 3, overlap=3, include_incomplete=False, dtype=np.uint8
    )
    assert complete.dtype == np.uint8
    np.testing.assert_array_equal(complete, frames[:2])


def test_recordings_without_events_have_no_windows():
    assert slice_by_time(recording([]), 5, include_incomplete=True) == []
    assert slice_by_count(recording([]), 5, include_incomplete=True) == []
    assert integrate_events_by_windows(recording([]), 5, 2, 3).shape == (0, 2, 2, 3)


def test_giant_windows_and_times_do_not_overflow():
    high = 2**63 - 1
    starts, stops = window_index(np.array([high - 3, high]), 10**30, -(10**30), True)
    assert (starts.tolist(), stops.tolist()) == ([0], [2])
    starts, stops = window_index(np.array([high - 3, high]), 2, 0, True)
    assert (starts.tolist(), stops.tolist()) == ([0, 1], [1, 2])
    assert len(slice_by_count(recording([0, 1]), 10**30, -(10**30), True)) == 1


@pytest.mark.parametrize(
    ("window", "overlap", "error", "complaint"),
    [
        (0, 0, ValueError, "window must be a positive"),
        (1.5, 0, TypeError, "window must be a positive"),
        (5, 5, ValueError, "overlap must be less than window = 5, got 5"),
        (5, 0.5, TypeError, "overlap must be a whole number, got 0.5"),
    ],
)
def test_windows_that_make_no_sense_are_refused(window, overlap, error, complaint):
    with pytest.raises(error, match=complaint):
        slice_by_time(recording([0, 1]), window, overlap)


def test_too_many_windows_are_refused():
    with pytest.raises(ValueError, match="more than 256 GiB"):
        slice_by_time(recording([0, 10**15]), 1)


def test_time_going_back_is_refused():
    with pytest.raises(ValueError, match="goes back"):
        slice_by_time(recording([1, 0]), 1)


def test_columns_of_different_lengths_are_refused():
    with pytest.raises(ValueError, match="equal length"):
        slice_by_count({"t": np.arange(3), "x": np.arange(2)}, 1)
