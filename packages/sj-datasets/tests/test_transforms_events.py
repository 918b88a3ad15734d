"""What drops and jitters take away, and how much."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sj_datasets.events import Events
from sj_datasets.transforms import (
    DropByArea,
    DropByCount,
    DropByTime,
    EventDrop,
    RandomTemporalDelete,
    SpatialJitter,
    TimeJitter,
    random_temporal_delete,
)

few = settings(max_examples=40)

H = W = 10
ratios = st.floats(0, 1)
seeds = st.integers(0, 999)


def grid() -> Events:
    """One event per pixel, one per microsecond."""
    y, x = np.divmod(np.arange(H * W), W)
    return Events.from_arrays(t=np.arange(H * W), x=x, y=y, p=x % 2, sensor_size=(H, W))


@few
@given(ratio=ratios, seed=seeds)
def test_dropping_by_count_drops_exactly_that_share(ratio, seed):
    assert DropByCount(ratio, rng=seed)(grid()).count == 100 - round(100 * ratio)


@few
@given(ratio=ratios, seed=seeds)
def test_dropping_by_time_drops_one_stretch_of_that_length(ratio, seed):
    left = DropByTime(ratio, rng=seed)(grid())["t"]
    gone = np.setdiff1d(np.arange(100), left)
    assert abs(len(gone) - 99 * ratio) <= 1
    assert np.all(np.diff(gone) == 1)


@few
@given(ratio=ratios, seed=seeds)
def test_dropping_by_area_drops_one_rectangle_of_that_size(ratio, seed):
    left = DropByArea(ratio, rng=seed)(grid())
    seen = np.zeros((H, W), bool)
    seen[left["y"], left["x"]] = True
    rows, columns = np.nonzero(~seen)
    assert len(rows) == round(ratio * H) * round(ratio * W)
    if len(rows):
        assert len(rows) == (np.ptp(rows) + 1) * (np.ptp(columns) + 1)


def test_event_drop_does_each_of_its_four():
    drop = EventDrop(time=(0.5, 0.5), area=0.5, count=0.1, rng=0)
    left = {drop(grid()).count for _ in range(60)}
    assert {100, 75, 90} <= left
    assert left & {50, 51}


def test_event_drop_leaves_something():
    drop = EventDrop(time=0.0, area=1.0, count=1.0, rng=0)
    assert {drop(grid()).count for _ in range(30)} == {100}


def test_ratios_of_a_range_are_drawn_per_sample():
    drop = DropByCount((0.2, 0.4), rng=0)
    counts = {drop(grid()).count for _ in range(50)}
    assert len(counts) > 5
    assert 60 <= min(counts) <= max(counts) <= 80


def test_no_jitter_changes_nothing():
    assert SpatialJitter(0.0)(grid()) == grid()
    assert TimeJitter(0.0)(grid()) == grid()


def test_jitter_in_space_is_as_wide_as_asked():
    n = 4000
    middle = Events.from_arrays(
        t=np.arange(n), x=np.full(n, 50), y=np.full(n, 50), p=np.zeros(n, int),
        sensor_size=(100, 100),
    )  # fmt: skip
    jittered = SpatialJitter(3.0, rng=0)(middle)
    assert jittered.count == n
    for name in "xy":
        assert abs(jittered[name].std() - 3) < 0.2
        assert abs(jittered[name].mean() - 50) < 0.2


def test_jitter_in_time_keeps_events_together():
    events = grid()
    jittered = TimeJitter(5.0, rng=0)(events)
    assert jittered != events
    pixels = {(e["x"], e["y"], e["p"]) for e in events.array}
    assert {(e["x"], e["y"], e["p"]) for e in jittered.array} == pixels


@pytest.mark.parametrize("dtype", [np.float16, np.uint32, np.int64])
def test_jitter_in_time_keeps_the_span_in_every_type(dtype):
    train = {"t": np.linspace(10, 90, 50).astype(dtype), "x": np.zeros(50, np.uint16)}
    jittered = TimeJitter(30.0, rng=0)(train)["t"]
    assert jittered.dtype == dtype
    assert 10 <= jittered.min() <= jittered.max() <= 90
    assert np.all(np.diff(jittered.astype(float)) >= 0)


def test_spike_trains_without_rows_are_jittered_over_units():
    train = {"t": np.zeros(9, np.float16), "x": np.full(9, 350, np.uint16)}
    jittered = SpatialJitter(5.0, sensor_size=(1, 700), rng=0)(train)
    assert set(jittered) == {"t", "x"}
    assert len(set(jittered["x"].tolist())) > 1


@pytest.mark.parametrize("batch_first", [False, True])
def test_temporal_delete_keeps_some_steps_in_order(batch_first):
    x_seq = np.arange(8)[:, None] + np.zeros((8, 3), int)
    if batch_first:
        x_seq = x_seq.T
    kept = random_temporal_delete(x_seq, 5, batch_first, rng=0)
    steps = kept[0] if batch_first else kept[:, 0]
    assert len(steps) == 5
    assert np.all(np.diff(steps) > 0)
    layer = RandomTemporalDelete(5, batch_first, rng=0)
    np.testing.assert_array_equal(layer(x_seq), kept)


def test_temporal_delete_follows_numpys_global_state():
    kept = []
    for _ in range(2):
        np.random.seed(3)  # noqa: NPY002
        kept.append(random_temporal_delete(np.arange(40), 20, False).tolist())
    assert kept[0] == kept[1]


@pytest.mark.parametrize(
    ("shape", "T_remain", "batch_first", "message"),
    [((4, 2), 5, False, "0..4"), ((4, 2), -1, True, "0..2"), ((4,), 1, True, "no dimension 1")],
)
def test_temporal_delete_checks_its_arguments(shape, T_remain, batch_first, message):
    with pytest.raises(ValueError, match=message):
        random_temporal_delete(np.zeros(shape), T_remain, batch_first)
