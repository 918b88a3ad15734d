from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sj_datasets.events import EVENT_DTYPE, Events
from sj_datasets.slicing import ToFrame

W, H = 4, 3
SENSOR = (W, H, 2)


def recording(t: list[int]) -> np.ndarray:
    events = np.zeros(len(t), EVENT_DTYPE)
    k = np.arange(len(t))
    events["t"], events["x"], events["y"], events["p"] = t, k % W, k % H, k % 2
    return events


def counted(events: np.ndarray) -> np.ndarray:
    frame = np.zeros((2, H, W), np.int64)
    for event in events:
        frame[int(event["p"] != 0), event["y"], event["x"]] += 1
    return frame


sorted_times = st.lists(st.integers(0, 60), min_size=1, max_size=25).map(sorted)


@given(sorted_times, st.integers(1, 30), st.integers(0, 29), st.booleans())
def test_time_windows(t, window, overlap, include_incomplete):
    overlap, events = min(overlap, window - 1), recording(t)
    stride, rounded = window - overlap, math.ceil if include_incomplete else math.floor
    n = max(1, rounded((t[-1] - t[0] - window) / stride) + 1)
    begins = [t[0] + i * stride for i in range(n)]
    wanted = [counted(events[(events["t"] >= b) & (events["t"] < b + window)]) for b in begins]
    to_frame = ToFrame(SENSOR, time_window=window, overlap=overlap,
                       include_incomplete=include_incomplete)  # fmt: skip
    np.testing.assert_array_equal(to_frame(events), wanted)


@given(sorted_times, st.integers(1, 10), st.integers(0, 9), st.booleans())
def test_event_counts(t, count, overlap, include_incomplete):
    overlap, events = min(overlap, count - 1), recording(t)
    stride, rounded = count - overlap, math.ceil if include_incomplete else math.floor
    size = min(count, len(t))
    n = rounded((len(t) - size) / stride) + 1
    wanted = [counted(events[i * stride : i * stride + size]) for i in range(n)]
    to_frame = ToFrame(SENSOR, event_count=count, overlap=overlap,
                       include_incomplete=include_incomplete)  # fmt: skip
    np.testing.assert_array_equal(to_frame(events), wanted)


@given(sorted_times, st.integers(1, 10), st.sampled_from([0, 0.25, 0.5]))
def test_bins(t, n, overlap):
    events = recording(t)
    length = (t[-1] - t[0]) // n * (1 + overlap)
    begins = [t[0] + i * length * (1 - overlap) for i in range(n)]
    wanted = [counted(events[(events["t"] >= b) & (events["t"] < b + length)]) for b in begins]
    found = ToFrame(SENSOR, n_time_bins=n, overlap=overlap)(events)
    np.testing.assert_array_equal(found, wanted)
    size = int(len(t) // n * (1 + overlap))
    stride = int(size * (1 - overlap))
    wanted = [counted(events[i * stride : i * stride + size]) for i in range(n)]
    found = ToFrame(SENSOR, n_event_bins=n, overlap=overlap)(events)
    np.testing.assert_array_equal(found, wanted)


def test_the_last_event_is_dropped_as_in_tonic():
    assert ToFrame(SENSOR, n_time_bins=2)(recording([0, 5, 10])).sum() == 2


def test_start_and_end_make_frames_that_are_empty():
    to_frame = ToFrame(SENSOR, time_window=10, start_time=0, end_time=50)
    assert to_frame(recording([21, 22, 33])).sum((1, 2, 3)).tolist() == [0, 0, 2, 1, 0]


def test_all_kinds_of_events_are_taken_and_left_alone():
    events = recording([0, 3, 8])
    before = events.copy()
    to_frame = ToFrame(SENSOR, n_event_bins=1)
    frames = to_frame(events)
    np.testing.assert_array_equal(to_frame(Events(events)), frames)
    np.testing.assert_array_equal(to_frame(Events(events).columns()), frames)
    np.testing.assert_array_equal(events, before)
    assert frames.dtype == np.int16


def test_counts_above_32767_do_not_wrap():
    events = np.zeros(40_000, EVENT_DTYPE)
    frames = ToFrame(SENSOR, event_count=40_000)(events)
    assert frames.dtype == np.int32
    assert frames[0, 0, 0, 0] == 40_000


def test_events_without_rows_give_frames_without_rows():
    spikes = np.zeros(3, [("t", int), ("x", int), ("p", int)])
    spikes["x"], spikes["p"] = [0, 2, 2], 1
    frames = ToFrame((3, 1, 1), event_count=3)(spikes)
    assert frames.tolist() == [[[1, 0, 2]]]
    columns = {name: spikes[name] for name in "txp"}
    np.testing.assert_array_equal(ToFrame((3, 1, 1), event_count=3)(columns), frames)


def test_more_than_two_polarities_are_channels():
    events = {name: np.zeros(3, int) for name in "txy"} | {"p": np.arange(3)}
    frames = ToFrame((1, 1, 3), event_count=3)(events)
    assert frames.tolist() == [[[[1]], [[1]], [[1]]]]


@pytest.mark.parametrize(
    ("way", "frames"),
    [("time_window", 1), ("event_count", 1), ("n_time_bins", 4), ("n_event_bins", 4)],
)
def test_no_events_give_empty_frames(way, frames):
    found = ToFrame(SENSOR, **{way: 4})(recording([]))
    assert found.shape == (frames, 2, H, W)
    assert not found.any()


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({}, "exactly one of .* got none"),
        ({"time_window": 5, "n_time_bins": 2}, r"got \['time_window', 'n_time_bins'\]"),
        ({"time_window": 0}, "time_window must be positive"),
        ({"time_window": math.inf}, "time_window must be positive"),
        ({"event_count": 0}, "event_count must be a positive"),
        ({"time_window": 5, "overlap": 5}, "overlap must be less than 5"),
        ({"n_time_bins": 5, "overlap": 1}, "overlap must be less than 1"),
    ],
)  # fmt: skip
def test_ways_of_slicing_that_make_no_sense_are_refused(arguments, complaint):
    with pytest.raises(ValueError, match=complaint):
        ToFrame(SENSOR, **arguments)


@pytest.mark.parametrize("size", [(4, 3), (4, 0, 2)])
def test_sensors_that_make_no_sense_are_refused(size):
    with pytest.raises(ValueError, match="sensor_size"):
        ToFrame(size, event_count=1)


def test_events_that_make_no_sense_are_refused():
    with pytest.raises(ValueError, match="event 1 has x = 1"):
        ToFrame((1, 3, 2), event_count=1)(recording([0, 1]))
    with pytest.raises(ValueError, match="one polarity, but the events have several"):
        ToFrame((W, H, 1), event_count=1)(recording([0, 1]))
    with pytest.raises(ValueError, match="goes back"):
        ToFrame(SENSOR, time_window=1)(recording([1, 0]))
    with pytest.raises(ValueError, match="more than 256 GiB"):
        ToFrame(SENSOR, time_window=1)(recording([0, 10**15]))
    columns = Events(recording([0, 1])).columns()
    with pytest.raises(ValueError, match="equal length"):
        ToFrame(SENSOR, event_count=1)(columns | {"t": columns["t"][:1]})
