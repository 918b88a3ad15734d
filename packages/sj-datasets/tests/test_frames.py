from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sj_datasets.events import Events
from sj_datasets.frames import (
    cal_fixed_duration_segment_index,
    cal_fixed_frames_number_segment_index,
    integrate_events_by_fixed_duration,
    integrate_events_by_fixed_frames_number,
    integrate_events_segment_to_frame,
    integrate_spikes_by_fixed_duration,
    integrate_spikes_by_fixed_frames_number,
)

H, W = 3, 5


def columns(rows: list[tuple[int, int, int, int]]) -> dict[str, np.ndarray]:
    table = np.array(rows, np.int64).reshape(-1, 4)
    return {name: table[:, k] for k, name in enumerate("txyp")}


def counted(events: dict[str, np.ndarray], frame_of: list[int], T: int) -> np.ndarray:
    """Frames by the book, one event after the other."""
    frames = np.zeros((T, 2, H, W), np.int64)
    for k, frame in enumerate(frame_of):
        frames[frame, int(events["p"][k] != 0), events["y"][k], events["x"][k]] += 1
    return frames


recordings = st.builds(
    lambda times, places: columns(
        [(t, x, y, p) for t, (x, y, p) in zip(sorted(times), places, strict=False)]
    ),
    st.lists(st.integers(-50, 50), max_size=30),
    st.lists(
        st.tuples(st.integers(0, W - 1), st.integers(0, H - 1), st.sampled_from([-1, 0, 1])),
        min_size=30,
        max_size=30,
    ),
)


@given(recordings, st.integers(1, 40))
def test_split_by_number_gives_equal_parts_and_the_rest_to_the_last(events, T):
    N = len(events["t"])
    frame_of = [min(k // (N // T), T - 1) if N >= T else T - 1 for k in range(N)]
    frames = integrate_events_by_fixed_frames_number(events, "number", T, H, W)
    np.testing.assert_array_equal(frames, counted(events, frame_of, T))


@given(recordings, st.integers(1, 40))
def test_split_by_time_follows_its_rule_also_where_frames_are_empty(events, T):
    t = events["t"].tolist()
    d = (t[-1] - t[0]) // T if t else 0
    frame_of = [min((s - t[0]) // d, T - 1) if d else T - 1 for s in t]
    frames = integrate_events_by_fixed_frames_number(events, "time", T, H, W)
    np.testing.assert_array_equal(frames, counted(events, frame_of, T))


@given(recordings, st.integers(1, 120))
def test_fixed_duration_follows_its_rule(events, duration):
    t = events["t"].tolist()
    T = max(1, math.ceil((t[-1] - t[0]) / duration)) if t else 0
    frame_of = [min((s - t[0]) // duration, T - 1) for s in t]
    frames = integrate_events_by_fixed_duration(events, duration, H, W)
    np.testing.assert_array_equal(frames, counted(events, frame_of, T))


@given(recordings, st.integers(1, 9), st.sampled_from(["time", "number"]))
def test_every_layout_of_columns_gives_the_same_frames(events, T, split_by):
    wanted = integrate_events_by_fixed_frames_number(events, split_by, T, H, W)
    shifted = events["t"] + 50
    layouts = [
        Events.from_arrays(shifted, events["x"], events["y"], events["p"] != 0, (H, W)),
        {"t": shifted.astype(np.uint32), "x": events["x"].astype(np.uint16),
         "y": events["y"].astype(">u2"), "p": events["p"] != 0},
        {"t": shifted.astype(np.uint64), "x": events["x"].astype(np.uint8),
         "y": events["y"].astype(">i4"), "p": events["p"].astype(np.int8)},
        {"t": np.repeat(shifted, 2)[::2], "x": np.repeat(events["x"], 2)[::2],
         "y": events["y"].astype(np.int16), "p": np.repeat(events["p"], 3)[::3]},
    ]  # fmt: skip
    for layout in layouts:
        found = integrate_events_by_fixed_frames_number(layout, split_by, T, H, W)
        np.testing.assert_array_equal(found, wanted)


def test_no_event_is_lost_in_large_recordings():
    # more events than are counted at once, and more frames
    N, rng = 200_000, np.random.default_rng(0)
    events = {
        "t": np.sort(rng.integers(0, 10**6, N)),
        "x": rng.integers(0, W, N),
        "y": rng.integers(0, H, N),
        "p": rng.integers(0, 2, N),
    }
    whole = np.zeros((2, H, W), np.int64)
    np.add.at(whole, (events["p"], events["y"], events["x"]), 1)
    for frames in (
        integrate_events_by_fixed_frames_number(events, "number", 1, H, W),
        integrate_events_by_fixed_frames_number(events, "time", 7, H, W),
        integrate_events_by_fixed_duration(events, 50, H, W),
    ):
        np.testing.assert_array_equal(frames.sum(0), whole)


def test_adjacent_runs_counted_together_stay_apart():
    t = np.arange(1000)
    x = t % W
    frames = integrate_spikes_by_fixed_duration(t, x, W, W)
    np.testing.assert_array_equal(frames, np.ones((200, W)))


def test_segments_of_a_gap_are_empty():
    j_l, j_r = cal_fixed_frames_number_segment_index(np.array([0, 1, 2, 97, 98, 99]), "time", 3)
    assert (j_l.tolist(), j_r.tolist()) == ([0, 3, 3], [3, 3, 6])


def test_the_event_at_the_very_end_needs_no_frame_of_its_own():
    j_l, j_r = cal_fixed_duration_segment_index([10, 15, 20, 30], 10)
    assert (j_l.tolist(), j_r.tolist()) == ([0, 2], [2, 4])


def test_events_at_one_instant_are_one_frame():
    events = columns([(7, 1, 2, 1)] * 3)
    frames = integrate_events_by_fixed_duration(events, 1000, H, W)
    assert frames.shape == (1, 2, H, W)
    assert frames[0, 1, 2, 1] == 3


def test_a_segment_takes_the_events_of_its_range():
    x, y, p = np.array([0, 1, 1, 4]), np.array([0, 2, 2, 1]), np.array([0, 1, 1, 0])
    frame = integrate_events_segment_to_frame(x, y, p, H, W, 1, 3)
    assert frame.shape == (2, H, W)
    assert frame[1, 2, 1] == frame.sum() == 2
    assert integrate_events_segment_to_frame(x, y, p, H, W).sum() == 4
    assert integrate_events_segment_to_frame(x, y, p, H, W, 3, 1).sum() == 0


def test_frames_have_the_asked_type():
    events = columns([(0, 0, 0, 1)] * 300)
    for dtype in (np.uint16, np.float32, np.float16):
        frames = integrate_events_by_fixed_frames_number(events, "number", 1, H, W, dtype=dtype)
        assert frames.dtype == dtype
        assert frames.sum() == 300
    assert integrate_events_by_fixed_duration(events, 1, H, W).dtype == np.int32


@pytest.mark.parametrize("dtype", [np.uint8, np.int8])
def test_a_type_too_small_for_a_count_is_refused(dtype):
    events = columns([(0, 0, 0, 1)] * 300)
    with pytest.raises(ValueError, match=r"counts 300 events, more than u?int8"):
        integrate_events_by_fixed_duration(events, 1, H, W, dtype=dtype)


def test_many_events_spread_out_fit_a_small_type():
    events = columns([(0, k % W, 0, 1) for k in range(5 * 255)])
    frames = integrate_events_by_fixed_duration(events, 1, H, W, dtype=np.uint8)
    assert frames[0, 1, 0].tolist() == [255] * W


# spikes of units


@given(st.lists(st.floats(0, 2, width=16), max_size=30), st.integers(1, 8))
def test_spikes_are_split_by_time_in_float64(times, T):
    t = np.sort(np.array(times, np.float16))
    x = np.arange(len(t)) % W
    frames = integrate_spikes_by_fixed_frames_number(t, x, "time", T, W)
    wanted = np.zeros((T, W), np.int64)
    edges = float(t[0]) + (float(t[-1]) - float(t[0])) / T * np.arange(T) if len(t) else ()
    for k in range(len(t)):
        wanted[np.flatnonzero(float(t[k]) >= edges)[-1] if t[0] < t[-1] else T - 1, x[k]] += 1
    np.testing.assert_array_equal(frames, wanted)


def test_spikes_are_split_by_number_and_by_duration():
    t, x = [0.0, 1.5, 2.0, 4.0], [0, 1, 1, 2]
    assert integrate_spikes_by_fixed_frames_number(t, x, "number", 2, 3).tolist() == [
        [1, 1, 0],
        [0, 1, 1],
    ]
    by_duration = integrate_spikes_by_fixed_duration(t, x, 2.0, 3)
    assert by_duration.tolist() == [[1, 1, 0], [0, 1, 1]]
    assert integrate_spikes_by_fixed_duration([], [], 2.0, 3).shape == (0, 3)
    assert integrate_spikes_by_fixed_frames_number([], [], "time", 2, 3).tolist() == [[0] * 3] * 2


# errors


@pytest.mark.parametrize(
    ("name", "value", "complaint"),
    [
        ("x", W, rf"event 1 has x = {W}, outside 0..{W - 1}"),
        ("y", -1, r"event 1 has y = -1, outside 0..2"),
        ("t", -5, r"goes back from 0 to -5 at event 1; sort"),
    ],
)
def test_an_event_that_makes_no_sense_is_named(name, value, complaint):
    events = columns([(0, 0, 0, 0), (1, 0, 0, 0)])
    events[name][1] = value
    with pytest.raises(ValueError, match=complaint):
        integrate_events_by_fixed_frames_number(events, "time", 2, H, W)


def test_order_of_time_does_not_matter_where_time_is_not_used():
    frames = integrate_events_by_fixed_frames_number(
        columns([(9, 0, 0, 0), (1, 0, 0, 0)]), "number", 2, H, W
    )
    assert frames[:, 0, 0, 0].tolist() == [1, 1]


def test_columns_that_do_not_fit_are_refused():
    good = columns([(0, 0, 0, 0), (1, 0, 0, 0)])
    with pytest.raises(KeyError, match="there is no 'p'"):
        integrate_events_by_fixed_duration({k: good[k] for k in "txy"}, 1, H, W)
    with pytest.raises(TypeError, match="t must hold whole numbers, got float64"):
        integrate_events_by_fixed_duration({**good, "t": good["t"] / 2}, 1, H, W)
    with pytest.raises(ValueError, match="equal length, got t 2, x 1"):
        integrate_events_by_fixed_duration({**good, "x": good["x"][:1]}, 1, H, W)
    with pytest.raises(ValueError, match=r"x must have shape \[N\], got \[1, 2\]"):
        integrate_events_segment_to_frame(good["x"][None], good["y"], good["p"], H, W)


@pytest.mark.parametrize(
    ("arguments", "error", "complaint"),
    [
        (("time", 0, H, W), ValueError, "frames_num must be a positive"),
        (("time", 2.5, H, W), TypeError, "frames_num must be a positive"),
        (("count", 2, H, W), ValueError, "'time' or 'number', got 'count'"),
        (("time", 2, 0, W), ValueError, "H must be a positive"),
        (("time", 2, H, -3), ValueError, "W must be a positive"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(arguments, error, complaint):
    with pytest.raises(error, match=complaint):
        integrate_events_by_fixed_frames_number(columns([(0, 0, 0, 0)]), *arguments)


def test_frames_that_no_memory_holds_are_refused_before_they_are_made():
    events = columns([(0, 0, 0, 0), (10**15, 0, 0, 0)])
    with pytest.raises(ValueError, match="is a time wrong, or in another unit"):
        integrate_events_by_fixed_duration(events, 1, H, W)
    with pytest.raises(ValueError, match="more than 256 GiB"):
        integrate_events_by_fixed_duration(events, 10**6, 1000, 1000)
    with pytest.raises(ValueError, match="more than 256 GiB"):
        integrate_spikes_by_fixed_duration([0.0, 1e15], [0, 0], 1.0, W)


def test_times_at_the_ends_of_their_type_do_not_overflow():
    high = 2**63 - 1
    events = columns([(high - 10, 0, 0, 0), (high, 0, 0, 0)])
    assert integrate_events_by_fixed_duration(events, 10**30, H, W).shape[0] == 1
    assert integrate_events_by_fixed_frames_number(events, "time", 10, H, W).sum() == 2
    apart = columns([(-high, 0, 0, 0), (high, 0, 0, 0)])
    with pytest.raises(ValueError, match="too far apart"):
        integrate_events_by_fixed_frames_number(apart, "time", 2, H, W)
    with pytest.raises(ValueError, match=r"below 2\*\*63"):
        cal_fixed_duration_segment_index(np.array([2**63], np.uint64), 1)


def test_frames_of_other_than_numbers_are_refused():
    with pytest.raises(TypeError, match="got dtype bool"):
        integrate_events_by_fixed_duration(columns([(0, 0, 0, 0)]), 1, H, W, dtype=bool)


@pytest.mark.parametrize(
    ("t", "x", "error", "complaint"),
    [
        ([0.0, np.nan], [0, 0], ValueError, "t must be finite, got nan"),
        ([[0.0]], [0], ValueError, r"shape \[N\], got \[1, 1\]"),
        (["a"], [0], TypeError, "t must hold numbers"),
        ([1.0, 0.5], [0, 0], ValueError, "goes back from 1.0 to 0.5"),
        ([0.0], [3], ValueError, "event 0 has x = 3"),
        ([0.0], [0, 1], ValueError, "equal length"),
        ([0.0], [0.5], TypeError, "x must hold whole numbers"),
    ],
)
def test_spikes_that_make_no_sense_are_refused(t, x, error, complaint):
    with pytest.raises(error, match=complaint):
        integrate_spikes_by_fixed_frames_number(t, x, "number", 2, 3)


def test_spike_arguments_that_make_no_sense_are_refused():
    with pytest.raises(ValueError, match="'time' or 'number'"):
        integrate_spikes_by_fixed_frames_number([0.0], [0], "count", 2, 3)
    with pytest.raises(ValueError, match="duration must be positive, got 0"):
        integrate_spikes_by_fixed_duration([0.0], [0], 0, 3)


def test_whole_floating_numbers_are_whole_numbers():
    columns = {"t": [0, 5, 9], "x": [0, 1, 2], "y": [1, 0, 1], "p": [1, 0, -1]}
    whole = {name: np.array(column) for name, column in columns.items()}
    floating = {name: column.astype(np.float32) for name, column in whole.items()}
    np.testing.assert_array_equal(
        integrate_events_by_fixed_duration(floating, 3, 2, 3),
        integrate_events_by_fixed_duration(whole, 3, 2, 3),
    )
    for t in ([0, 5, np.nan], [0, 5, 1e30], [0, 5, 5.5]):
        with pytest.raises(TypeError, match="t must hold whole numbers"):
            integrate_events_by_fixed_duration({**floating, "t": np.array(t)}, 3, 2, 3)
