"""Order of time, which splitting by time needs and some recordings do not keep."""

from __future__ import annotations

from typing import TypeVar, cast

import numpy as np

from ._columns import same_length, whole_numbers
from .events import EventColumns, Events

__all__ = ["in_time_order"]

AnyEvents = TypeVar("AnyEvents", bound=EventColumns)


def in_time_order(events: AnyEvents) -> AnyEvents:
    """The events themselves if time never goes back, else a copy sorted by time.

    Events of the same time keep their order.

    Raises:
        TypeError: t holds no whole numbers.
        ValueError: columns are of different lengths.
    """
    t = np.ascontiguousarray(whole_numbers("t", events["t"]))
    if not (t[1:] < t[:-1]).any():
        return events
    order = np.argsort(t, kind="stable")
    if isinstance(events, Events):
        return cast("AnyEvents", Events(events.array[order], events.sensor_size))
    same_length(**events)
    return cast("AnyEvents", {name: column[order] for name, column in events.items()})
