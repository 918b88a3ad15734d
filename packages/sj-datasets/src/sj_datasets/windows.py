"""Windows over a recording that may overlap: slices of events, and frames of them.

    window i takes t_0 + i s <= t < t_0 + i s + w      w window, s = w - overlap
    or the events i s <= k < i s + n                   n count,  s = n - overlap

A recording lasts from its first to its last event, both included; a window is complete if it ends
within that. With `include_incomplete` more windows follow until no event is left over, and there is
at least one window. :mod:`sj_datasets.slicing` has the slightly other rules of tonic.
"""

from __future__ import annotations

from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ._columns import event_columns, first_at, positive, same_length, sorted_times, time_span
from ._counting import count_runs, frame_axes, refuse_too_many
from .events import EventColumns, Events
from .frames import Segments

__all__ = ["integrate_events_by_windows", "slice_by_count", "slice_by_time", "window_index"]

AnyEvents = TypeVar("AnyEvents", bound=EventColumns)


def slice_by_time(
    events: AnyEvents, window: int, overlap: int = 0, include_incomplete: bool = False
) -> list[AnyEvents]:
    """Windows of equal time, as views of the same kind as the events.

    Args:
        events: columns ``[N]``; t sorted.
        window: length w in the unit of t.
        overlap: what two neighbours share, less than the window; negative leaves gaps.
        include_incomplete: also the windows at the end that are not filled.

    Raises:
        TypeError: t, window or overlap holds no whole numbers.
        ValueError: time goes back, window is below 1, or the overlap not less than it.
    """
    times = sorted_times(events["t"])
    return _slices(events, window_index(times, window, overlap, include_incomplete))


def slice_by_count(
    events: AnyEvents, count: int, overlap: int = 0, include_incomplete: bool = False
) -> list[AnyEvents]:
    """Windows of equally many events, as views of the same kind as the events.

    Args:
        events: columns ``[N]``.
        count: events n in a window.
        overlap: events that two neighbours share, less than count; negative leaves gaps.
        include_incomplete: also the windows at the end that are not filled.

    Raises:
        TypeError: count or overlap is no whole number.
        ValueError: count is below 1, or the overlap not less than it.
    """
    N, stride = len(events["t"]), _stride("count", count, overlap)
    number = _windows(N, count, stride, include_incomplete)
    starts = np.minimum(np.arange(number) * min(stride, N), N)
    return _slices(events, (starts, np.minimum(starts + min(count, N), N)))


def window_index(
    times: NDArray[np.int64], window: int, overlap: int = 0, include_incomplete: bool = False
) -> Segments:
    """First event of each window of :func:`slice_by_time`, and the first one after it."""
    number = _time_windows(times, window, overlap, include_incomplete)
    refuse_too_many(number, 1, np.dtype(np.int64))
    if not len(times):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    length = time_span(times) + 1
    stride = min(window - overlap, length)  # the smaller ones, lest they overflow
    starts = np.arange(number) * stride
    stops = np.minimum(starts, length - min(window, length)) + min(window, length)
    return first_at(times, starts), first_at(times, stops)


def integrate_events_by_windows(
    events: EventColumns,
    window: int,
    H: int,
    W: int,
    *,
    overlap: int = 0,
    include_incomplete: bool = True,
    dtype: DTypeLike = np.int32,
) -> NDArray[Any]:
    """Frames ``[T, 2, H, W]`` of windows of equal time; by default every event is in one.

    Args:
        events: t, x, y, p, each ``[N]``, of any integer type.
        window: length in the unit of t.
        H: rows.
        W: columns.
        overlap: what two neighbours share, less than the window; negative leaves gaps.
        include_incomplete: also the windows at the end that are not filled.
        dtype: of the frames; counts are exact in it or refused.

    Raises:
        TypeError: a column holds no whole numbers.
        ValueError: time goes back, window or overlap makes no sense, an event lies outside the
            frame, or dtype is too small.
    """
    columns = event_columns(events)
    axes = frame_axes(*columns[1:], positive("H", H), positive("W", W))
    times = sorted_times(columns.t)
    refuse_too_many(
        _time_windows(times, window, overlap, include_incomplete), 2 * H * W, np.dtype(dtype)
    )
    return count_runs(axes, *window_index(times, window, overlap, include_incomplete), dtype)


def _time_windows(
    times: NDArray[np.int64], window: int, overlap: int, include_incomplete: bool
) -> int:
    length = time_span(times) + 1 if len(times) else 0
    return _windows(length, window, _stride("window", window, overlap), include_incomplete)


def _stride(name: str, length: int, overlap: int) -> int:
    if not isinstance(overlap, int | np.integer):
        raise TypeError(f"overlap must be a whole number, got {overlap!r}")
    stride = positive(name, length) - int(overlap)
    if stride < 1:
        raise ValueError(f"overlap must be less than {name} = {length}, got {overlap}")
    return stride


def _windows(total: int, length: int, stride: int, include_incomplete: bool) -> int:
    if include_incomplete:
        return max(1, -(-(total - length) // stride) + 1) if total else 0
    return max(0, (total - length) // stride + 1)


def _slices(events: AnyEvents, segments: Segments) -> list[AnyEvents]:
    runs = [slice(int(start), int(stop)) for start, stop in zip(*segments, strict=True)]
    if isinstance(events, Events):
        return [cast("AnyEvents", Events(events.array[run], events.sensor_size)) for run in runs]
    same_length(**events)
    return [
        cast("AnyEvents", {name: column[run] for name, column in events.items()}) for run in runs
    ]
