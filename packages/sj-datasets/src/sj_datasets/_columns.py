"""The columns of events as this package's functions want them, or an error that says what to do."""

from __future__ import annotations

import operator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .events import EventColumns

__all__ = [
    "Columns", "event_columns", "first_at", "positive", "same_length",
    "sorted_seconds", "sorted_times", "time_span", "whole_numbers",
]  # fmt: skip


class Columns(NamedTuple):
    """t, x, y, p, each ``[N]`` whole numbers."""

    t: NDArray[Any]
    x: NDArray[Any]
    y: NDArray[Any]
    p: NDArray[Any]


def event_columns(events: EventColumns) -> Columns:
    """Columns of equal length that hold whole numbers.

    Raises:
        KeyError: a column is missing.
        TypeError: a column holds no whole numbers.
        ValueError: a column is not one-dimensional, or lengths differ.
    """
    columns = Columns(*(whole_numbers(name, _column(events, name)) for name in Columns._fields))
    same_length(**columns._asdict())
    return columns


def _column(events: EventColumns, name: str) -> NDArray[Any]:
    try:
        return events[name]
    except (KeyError, ValueError):  # a structured array answers with a ValueError
        raise KeyError(f"events need the columns t, x, y, p; there is no {name!r}") from None


def whole_numbers(name: str, column: ArrayLike) -> NDArray[Any]:
    """The column as an array ``[N]`` of integers or booleans.

    Floating numbers that are whole will do: other libraries keep columns in such files.
    """
    array = np.asarray(column)
    if array.size == 0:
        return array.reshape(-1).astype(np.int64)
    if array.dtype.kind == "f":
        with np.errstate(invalid="ignore"):
            whole = array.astype(np.int64)
        array = whole if np.array_equal(whole, array) else array
    if array.dtype != np.bool_ and not np.issubdtype(array.dtype, np.integer):
        raise TypeError(f"{name} must hold whole numbers, got {array.dtype}; convert it first")
    if array.ndim != 1:
        raise ValueError(f"{name} must have shape [N], got {list(array.shape)}")
    return array


def same_length(**columns: NDArray[Any]) -> None:
    """Refuse columns of different lengths."""
    if len({len(column) for column in columns.values()}) > 1:
        lengths = ", ".join(f"{name} {len(column)}" for name, column in columns.items())
        raise ValueError(f"columns must be of equal length, got {lengths}")


def sorted_times(t: ArrayLike) -> NDArray[np.int64]:
    """Times as contiguous int64.

    Raises:
        ValueError: time goes back, does not fit, or the first and the last are too far apart.
    """
    array = whole_numbers("t", t)
    if array.dtype == np.uint64 and array.size and int(array.max()) > np.iinfo(np.int64).max:
        raise ValueError(f"t must be below 2**63, got {int(array.max())}")
    times = _not_going_back(np.ascontiguousarray(array, np.int64))
    if len(times):
        time_span(times)  # which refuses what no later sum or difference could hold
    return times


def sorted_seconds(t: ArrayLike) -> NDArray[np.float64]:
    """Times as contiguous float64: float16, in which they may be stored, moves spikes when added.

    Raises:
        TypeError: t holds no numbers.
        ValueError: time goes back, or is not finite.
    """
    array = np.asarray(t)
    if array.ndim != 1:
        raise ValueError(f"t must have shape [N], got {list(array.shape)}")
    if array.size and not (
        np.issubdtype(array.dtype, np.integer) or np.issubdtype(array.dtype, np.floating)
    ):
        raise TypeError(f"t must hold numbers, got {array.dtype}")
    times = np.ascontiguousarray(array, np.float64)
    if not np.isfinite(times).all():
        raise ValueError(f"t must be finite, got {times[~np.isfinite(times)][0]}")
    return _not_going_back(times)


def _not_going_back(times: NDArray[Any]) -> NDArray[Any]:
    back = times[1:] < times[:-1]
    if back.any():
        first = int(back.argmax())
        raise ValueError(
            f"time goes back from {times[first]} to {times[first + 1]} at event {first + 1}; "
            "sort all columns first, by order = np.argsort(t, kind='stable')"
        )
    return times


def time_span(times: NDArray[np.int64]) -> int:
    """From the first to the last event, of which there must be one.

    Raises:
        ValueError: it is so large that sums of times would overflow.
    """
    span = int(times[-1]) - int(times[0])
    if span >= 1 << 62:
        raise ValueError(f"times from {times[0]} to {times[-1]} are too far apart")
    return span


def first_at(times: NDArray[Any], since_start: NDArray[Any]) -> NDArray[np.int64]:
    """Index of the first event at or after each time since the first event; N if there is none.

    Args:
        times: ``[N]``, sorted, at least one.
        since_start: ``[K]``, not negative, of the same kind of numbers.
    """
    span = times[-1] - times[0]
    # the sum stays within the type, since nothing beyond the last event is looked up
    found = np.searchsorted(times, times[0] + np.minimum(since_start, span))
    return np.where(since_start > span, len(times), found)


def positive(name: str, value: int) -> int:
    """The value as a positive ``int``.

    Raises:
        TypeError: it is no whole number.
        ValueError: it is below 1.
    """
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be a positive whole number, got {value!r}") from None
    if number < 1:
        raise ValueError(f"{name} must be a positive whole number, got {value}")
    return number
