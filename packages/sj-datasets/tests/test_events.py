from __future__ import annotations

import pickle

import numpy as np
import pytest

from sj_datasets.events import EVENT_DTYPE, Events


@pytest.fixture
def events() -> Events:
    return Events.from_arrays(t=[3, 5], x=[0, 1], y=[2, 2], p=[True, False], sensor_size=(4, 8))


def test_it_reads_like_a_dict_of_columns(events):
    assert list(events) == ["t", "x", "y", "p"] == list(dict(events))
    assert {name: column.tolist() for name, column in events.items()} == {
        "t": [3, 5],
        "x": [0, 1],
        "y": [2, 2],
        "p": [1, 0],
    }
    assert len(events) == 4
    assert events.count == 2
    with pytest.raises(KeyError):
        events["z"]


def test_columns_are_contiguous_copies(events):
    columns = events.columns()
    columns["t"][0] = 9
    assert events["t"][0] == 3
    assert all(column.flags.c_contiguous for column in columns.values())
    assert [column.dtype for column in columns.values()] == [EVENT_DTYPE[n] for n in "txyp"]


def test_equality_looks_at_events_and_sensor(events):
    assert events == Events(events.array.copy(), (4, 8))
    assert events != Events(events.array)
    assert events != Events(events.array[:1], (4, 8))
    assert events != "events"
    assert pickle.loads(pickle.dumps(events)) == events


def test_events_cannot_be_keys(events):
    with pytest.raises(TypeError, match="unhashable"):
        hash(events)


def test_repr_tells_count_and_sensor(events):
    assert repr(events) == "Events(count=2, sensor_size=(4, 8))"


def test_the_array_is_used_as_it_is():
    array = np.zeros(3, EVENT_DTYPE)
    assert Events(array).array is array


@pytest.mark.parametrize(
    ("array", "error", "message"),
    [
        (np.zeros((2, 2), EVENT_DTYPE), ValueError, r"shape \[N\], got \[2, 2\]"),
        (np.zeros(2), TypeError, "Events.from_arrays converts columns"),
    ],
    ids=["two dimensions", "numbers"],
)
def test_other_arrays_are_refused(array, error, message):
    with pytest.raises(error, match=message):
        Events(array)


@pytest.mark.parametrize(
    ("size", "error", "message"),
    [
        ((4,), TypeError, r"\(rows, columns\)"),
        (7, TypeError, r"\(rows, columns\)"),
        ((4.5, 8), TypeError, r"\(rows, columns\)"),
        ((0, 8), ValueError, "positive"),
        ((2, 8), ValueError, "y = 2, outside the sensor of 2 rows"),
        ((4, 1), ValueError, "x = 1, outside the sensor"),
    ],
)
def test_sensor_sizes_are_checked(events, size, error, message):
    with pytest.raises(error, match=message):
        Events(events.array, size)


@pytest.mark.parametrize(
    ("columns", "error", "message"),
    [
        ({"x": [1]}, ValueError, r"equal length, got t \[2\], x \[1\]"),
        ({"t": [[1, 2]]}, ValueError, "one-dimensional"),
        ({"t": [0.5, 1.0]}, TypeError, "t must hold whole numbers, got float64"),
        ({"x": [0, 65536]}, ValueError, "x must lie in 0..65535"),
        ({"y": [-1, 0]}, ValueError, "y must lie in 0..65535, got -1..0"),
        ({"p": [-1, 1]}, ValueError, "p > 0"),
    ],
)
def test_columns_that_do_not_fit_are_refused(columns, error, message):
    whole = {"t": [1, 2], "x": [0, 0], "y": [0, 0], "p": [0, 1]}
    with pytest.raises(error, match=message):
        Events.from_arrays(**(whole | columns))


def test_no_events_are_events():
    assert Events.from_arrays([], [], [], [], (4, 8)).count == 0
