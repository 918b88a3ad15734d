"""Frames cut as tonic 1.7 cuts them, for results that must compare.

    time_window w    [t_0 + i s, t_0 + i s + w),  s = w - overlap,
                     n = max(1, floor((t_end - t_0 - w) / s) + 1), ceil with include_incomplete
    event_count c    events [i s, i s + c),       s = c - overlap, n likewise of N and c
    n_time_bins k    w = ((t_end - t_0) // k) (1 + overlap),  s = w (1 - overlap),  n = k
    n_event_bins k   c = int((N // k) (1 + overlap)),  s = int(c (1 - overlap)),    n = k

All intervals are half open, so the events at the very end may be in no frame; the functions of
:mod:`sj_datasets.frames` lose none. Different from tonic: counts never wrap around, an event
outside the sensor is an error, and the caller's events are not changed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._columns import positive, same_length, sorted_times, whole_numbers
from ._counting import Axis, count_runs, polarity, refuse_too_many
from .events import EventColumns
from .frames import Segments

__all__ = ["ToFrame"]

_WAYS = ("time_window", "event_count", "n_time_bins", "n_event_bins")


@dataclass(frozen=True)
class ToFrame:
    """Events to frames ``[T, P, H, W]``, or ``[T, P, W]`` for events without y.

    Frames are int16, or int32 where a pixel counts more than int16 can hold.

    Args:
        sensor_size: (W, H, P): columns, rows, polarities, in tonic's order.
        time_window: length of a frame, in the unit of t.
        event_count: events in a frame.
        n_time_bins: number of frames of equal time.
        n_event_bins: number of frames of equally many events.
        overlap: of neighbours; in the unit of t for time_window, in events for event_count, and as
            a part of a bin (below 1) otherwise.
        include_incomplete: also a last frame that is not filled; not for bins.
        start_time: where frames of time_window begin; by default at the first event.
        end_time: where they end; by default at the last event.

    Raises:
        ValueError: not exactly one way of slicing is given, or its number is not positive.

    Example:
        >>> to_frame = ToFrame((3, 2, 2), n_event_bins=1)
        >>> to_frame({"t": np.array([5, 9]), "x": np.array([0, 2]),
        ...           "y": np.array([1, 1]), "p": np.array([1, 0])}).tolist()
        [[[[0, 0, 0], [0, 0, 1]], [[0, 0, 0], [1, 0, 0]]]]
    """

    sensor_size: tuple[int, int, int]
    time_window: float | None = None
    event_count: int | None = None
    n_time_bins: int | None = None
    n_event_bins: int | None = None
    overlap: float = 0
    include_incomplete: bool = False
    start_time: float | None = None
    end_time: float | None = None

    def __post_init__(self) -> None:
        if len(self.sensor_size) != 3:
            raise ValueError(f"sensor_size must be (W, H, P), got {self.sensor_size}")
        for name, size in zip("WHP", self.sensor_size, strict=True):
            positive(f"{name} of sensor_size", size)
        given = [way for way in _WAYS if getattr(self, way) is not None]
        if len(given) != 1:
            raise ValueError(f"give exactly one of {', '.join(_WAYS)}; got {given or 'none'}")
        length = getattr(self, given[0])
        if given[0] != "time_window":
            positive(given[0], length)
        elif not 0 < length < float("inf"):
            raise ValueError(f"time_window must be positive, got {length}")
        limit = 1 if given[0].startswith("n_") else length
        if not self.overlap < limit:
            raise ValueError(f"overlap must be less than {limit}, got {self.overlap}")

    def __call__(self, events: EventColumns | NDArray[np.void]) -> NDArray[Any]:
        """Frames of one recording: `Events`, a dict of arrays, or tonic's structured array.

        Raises:
            TypeError: a column holds no whole numbers.
            ValueError: time goes back, an event lies outside the sensor, or both polarities are
                there although the sensor has one.
        """
        axes = self._axes(events)
        times = sorted_times(events["t"])
        same_length(t=times, **{axis.name: axis.values for axis in axes})
        starts, stops = self._segments(times)
        frames = count_runs(axes, starts, stops)
        fits = frames.size == 0 or frames.max() <= np.iinfo(np.int16).max
        return frames.astype(np.int16) if fits else frames

    def _axes(self, events: EventColumns | NDArray[np.void]) -> list[Axis]:
        W, H, P = self.sensor_size
        x, p = (whole_numbers(name, events[name]) for name in "xp")
        if P == 2:
            axes = [polarity(p)]
        elif P > 2:
            axes = [Axis("p", p, P)]
        else:
            if len(p) and p.min() != p.max():
                raise ValueError("the sensor has one polarity, but the events have several")
            axes = [Axis("p", np.zeros(len(p), np.bool_), 1)]
        names = events if isinstance(events, Mapping) else events.dtype.names or ()
        if "y" in names:
            axes.append(Axis("y", whole_numbers("y", events["y"]), H))
        return [*axes, Axis("x", x, W)]

    def _segments(self, times: NDArray[np.int64]) -> Segments:
        N = len(times)
        if self.n_time_bins is not None and N:
            length = (int(times[-1]) - int(times[0])) // self.n_time_bins * (1 + self.overlap)
            stride = length * (1 - self.overlap)
            return _between(times, times[0] + np.arange(self.n_time_bins) * stride, length)
        if self.n_time_bins is not None or self.n_event_bins is not None:
            bins = self.n_event_bins or self.n_time_bins or 1
            length = int(N // bins * (1 + self.overlap))
            starts = np.arange(bins) * int(length * (1 - self.overlap))
        elif self.event_count is not None:
            length, stride = min(self.event_count, N), self.event_count - self.overlap
            starts = (np.arange(self._number(N - length, stride)) * stride).astype(np.int64)
        else:
            return self._time_windows(times)
        return np.minimum(starts, N), np.minimum(starts + length, N)

    def _time_windows(self, times: NDArray[np.int64]) -> Segments:
        window = self.time_window or 1
        begin, end = (int(times[0]), int(times[-1])) if len(times) else (0, 0)
        begin = begin if self.start_time is None else self.start_time
        end = end if self.end_time is None else self.end_time
        stride = window - self.overlap
        number = self._number(end - begin - window, stride)
        return _between(times, np.arange(number) * stride + begin, window)

    def _number(self, rest: float, stride: float) -> int:
        rounded = np.ceil(rest / stride) if self.include_incomplete else np.floor(rest / stride)
        refuse_too_many(int(rounded), math.prod(self.sensor_size), np.dtype(np.int32))
        return max(1, int(rounded) + 1)


def _between(times: NDArray[np.int64], begins: NDArray[Any], length: float) -> Segments:
    return np.searchsorted(times, begins), np.searchsorted(times, begins + length)
