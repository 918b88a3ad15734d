from __future__ import annotations

import numpy as np
import pytest

from sj_datasets.events import Events
from sj_datasets.frames import integrate_events_by_fixed_duration
from sj_datasets.ordering import in_time_order


def test_events_in_order_are_returned_as_they_are():
    events = Events.from_arrays([1, 1, 2], [0, 1, 2], [0, 0, 0], [0, 1, 0])
    assert in_time_order(events) is events
    columns = events.columns()
    assert in_time_order(columns) is columns


def test_others_are_sorted_and_equal_times_keep_their_order():
    events = Events.from_arrays([5, 1, 5, 0, 1], range(5), [0] * 5, [0] * 5, (1, 5))
    for unsorted in (events, events.columns()):
        found = in_time_order(unsorted)
        assert type(found) is type(unsorted)
        assert found["t"].tolist() == [0, 1, 1, 5, 5]
        assert found["x"].tolist() == [3, 1, 4, 0, 2]
        assert integrate_events_by_fixed_duration(found, 2, 1, 5).sum() == 5
    assert in_time_order(events).sensor_size == (1, 5)
    assert events["t"].tolist() == [5, 1, 5, 0, 1]


def test_columns_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="equal length"):
        in_time_order({"t": np.array([2, 1]), "x": np.array([0])})
    with pytest.raises(TypeError, match="whole numbers"):
        in_time_order({"t": np.array([0.5])})
