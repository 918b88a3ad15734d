"""Events of an event camera: where and when the brightness of a pixel changed.

    t   time, int64, in microseconds unless a dataset says otherwise
    x   column, uint16, 0 at the left
    y   row, uint16, 0 at the top
    p   polarity, uint8, 1 = brighter, 0 = darker

N events, H rows, W columns.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["EVENT_DTYPE", "EventColumns", "Events"]

EVENT_DTYPE = np.dtype([("t", "<i8"), ("x", "<u2"), ("y", "<u2"), ("p", "u1")])
_FIELDS = ("t", "x", "y", "p")

EventColumns = Mapping[str, NDArray[Any]]
"""Anything with the arrays t, x, y, p of equal length: `Events`, or a plain dict."""


class Events(Mapping[str, NDArray[Any]]):
    """N events in one structured array, read like a dict of the arrays t, x, y, p.

    Args:
        array: structured array ``[N]`` with the fields t, x, y, p of :data:`EVENT_DTYPE`.
        sensor_size: rows and columns (H, W) of the sensor, or ``None`` if it is not known.

    Raises:
        TypeError: the array has other fields or types.
        ValueError: it is not one-dimensional, or an event lies outside the sensor.

    Example:
        >>> events = Events.from_arrays(t=[3, 5], x=[0, 1], y=[2, 2], p=[1, 0])
        >>> events["t"].tolist(), events.count
        ([3, 5], 2)
    """

    __slots__ = ("array", "sensor_size")

    array: NDArray[np.void]
    sensor_size: tuple[int, int] | None

    def __init__(self, array: NDArray[np.void], sensor_size: tuple[int, int] | None = None) -> None:
        array = np.asarray(array)
        if array.dtype != EVENT_DTYPE:
            raise TypeError(
                f"events need the fields {EVENT_DTYPE}, got {array.dtype}; "
                "Events.from_arrays converts columns"
            )
        if array.ndim != 1:
            raise ValueError(f"events must have shape [N], got {list(array.shape)}")
        self.array = array
        self.sensor_size = None if sensor_size is None else _checked_size(sensor_size)
        if self.sensor_size is not None and len(array):
            _check_inside(array, self.sensor_size)

    @classmethod
    def from_arrays(
        cls,
        t: ArrayLike,
        x: ArrayLike,
        y: ArrayLike,
        p: ArrayLike,
        sensor_size: tuple[int, int] | None = None,
    ) -> Events:
        """Events from four columns of whole numbers, each ``[N]``.

        Raises:
            TypeError: a column holds no whole numbers.
            ValueError: lengths differ, or a value does not fit its field.
        """
        columns = dict(zip(_FIELDS, map(np.asarray, (t, x, y, p)), strict=True))
        shape = columns["t"].shape
        if len(shape) != 1 or any(column.shape != shape for column in columns.values()):
            shapes = ", ".join(f"{k} {list(c.shape)}" for k, c in columns.items())
            raise ValueError(
                f"t, x, y, p must be one-dimensional and of equal length, got {shapes}"
            )
        array = np.empty(shape, EVENT_DTYPE)
        for field, column in columns.items():
            array[field] = _fitting(field, column)
        return cls(array, sensor_size)

    @property
    def count(self) -> int:
        """Number of events N; ``len(events)`` is 4, the number of columns, as in a dict."""
        return len(self.array)

    def columns(self) -> dict[str, NDArray[Any]]:
        """Contiguous copies of t, x, y, p in a plain dict."""
        return {field: np.ascontiguousarray(self.array[field]) for field in _FIELDS}

    def __getitem__(self, key: str) -> NDArray[Any]:
        if key not in _FIELDS:
            raise KeyError(key)
        return self.array[key]

    def __iter__(self) -> Iterator[str]:
        return iter(_FIELDS)

    def __len__(self) -> int:
        return len(_FIELDS)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Events):
            return NotImplemented
        return self.sensor_size == other.sensor_size and np.array_equal(self.array, other.array)

    __hash__ = None  # type: ignore[assignment]  # arrays change

    def __repr__(self) -> str:
        return f"Events(count={self.count}, sensor_size={self.sensor_size})"


def _checked_size(sensor_size: tuple[int, int]) -> tuple[int, int]:
    try:
        height, width = map(operator.index, sensor_size)
    except (TypeError, ValueError):
        raise TypeError(f"sensor_size must be (rows, columns), got {sensor_size!r}") from None
    if height < 1 or width < 1:
        raise ValueError(f"sensor_size must be positive, got {sensor_size}")
    return height, width


def _check_inside(array: NDArray[np.void], sensor_size: tuple[int, int]) -> None:
    for field, size in zip(("y", "x"), sensor_size, strict=True):
        largest = int(array[field].max())
        if largest >= size:
            raise ValueError(
                f"an event has {field} = {largest}, outside the sensor of {sensor_size[0]} rows "
                f"and {sensor_size[1]} columns"
            )


def _fitting(field: str, column: NDArray[Any]) -> NDArray[Any]:
    if column.size == 0 or column.dtype == np.bool_:
        return column
    if not np.issubdtype(column.dtype, np.integer):
        raise TypeError(f"{field} must hold whole numbers, got {column.dtype}; convert it first")
    limits = np.iinfo(EVENT_DTYPE[field])
    low, high = int(column.min()), int(column.max())
    most = 1 if field == "p" else int(limits.max)
    if low < limits.min or high > most:
        hint = "; polarities of -1 and 1 are converted by p > 0" if field == "p" else ""
        raise ValueError(f"{field} must lie in {limits.min}..{most}, got {low}..{high}{hint}")
    return column
