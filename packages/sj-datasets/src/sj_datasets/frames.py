"""Events integrated to frames: how often each pixel fired, per polarity.

    F[i, c, y, x] = number of events k in [j_l[i], j_r[i]) with x_k = x, y_k = y, channel c
    c = 0 where p = 0, else 1 (so that -1 counts as 1)

Events are in order of time. All arithmetic is in integers, every event is counted, and a part of
the recording without events gives an empty frame. N events, T frames, H rows, W columns.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from ._columns import (
    event_columns,
    first_at,
    positive,
    same_length,
    sorted_seconds,
    sorted_times,
    time_span,
    whole_numbers,
)
from ._counting import Axis, count_runs, frame_axes, refuse_too_many
from .events import EventColumns

__all__ = [
    "cal_fixed_duration_segment_index",
    "cal_fixed_frames_number_segment_index",
    "integrate_events_by_fixed_duration",
    "integrate_events_by_fixed_frames_number",
    "integrate_events_segment_to_frame",
    "integrate_spikes_by_fixed_duration",
    "integrate_spikes_by_fixed_frames_number",
]

Segments = tuple[NDArray[np.int64], NDArray[np.int64]]
"""``(j_l, j_r)``, each ``[T]``: frame i takes the events ``j_l[i] <= k < j_r[i]``."""


def integrate_events_segment_to_frame(
    x: ArrayLike, y: ArrayLike, p: ArrayLike, H: int, W: int, j_l: int = 0, j_r: int | None = None
) -> NDArray[np.int32]:
    """One frame ``[2, H, W]`` of the events ``j_l <= k < j_r``; by default, of all.

    Raises:
        TypeError: a column holds no whole numbers.
        ValueError: lengths differ, or an event lies outside the frame.
    """
    columns = {
        name: whole_numbers(name, column) for name, column in zip("xyp", (x, y, p), strict=True)
    }
    same_length(**columns)
    start, stop, _ = slice(j_l, j_r).indices(len(columns["x"]))
    axes = frame_axes(**columns, H=positive("H", H), W=positive("W", W))
    return count_runs(axes, np.array([start]), np.array([max(start, stop)]))[0]


def cal_fixed_frames_number_segment_index(t: ArrayLike, split_by: str, frames_num: int) -> Segments:
    """Where each of a fixed number of frames begins and ends.

        number   j_l[i] = i d,                            d = N // T
        time     j_l[i] = first k with t_k >= t_0 + i d,  d = (t_(N-1) - t_0) // T

    Frame i ends where the next one begins; the last one takes all that is left.

    Args:
        t: ``[N]`` whole numbers; sorted, if they are split by time.
        split_by: ``"number"`` or ``"time"``.
        frames_num: T.

    Raises:
        TypeError: t holds no whole numbers.
        ValueError: split_by is another word, frames_num is below 1, or time goes back.
    """
    T = positive("frames_num", frames_num)
    if split_by == "number":
        N = len(whole_numbers("t", t))
        return _up_to_the_next(np.arange(T) * (N // T), N)
    if split_by != "time":
        raise ValueError(f"split_by must be 'time' or 'number', got {split_by!r}")
    times = sorted_times(t)
    if not len(times):
        return _up_to_the_next(np.zeros(T, np.int64), 0)
    return _up_to_the_next(first_at(times, np.arange(T) * (time_span(times) // T)), len(times))


def cal_fixed_duration_segment_index(t: ArrayLike, duration: int) -> Segments:
    """Where each of the frames of a fixed duration begins and ends.

        j_l[i] = first k with t_k - t_0 >= i D,  i < T = max(1, ceil((t_(N-1) - t_0) / D))

    Frame i ends where the next one begins; the last one takes all that is left, so that an event
    exactly at T D needs no frame of its own. Without events there are no frames.

    Args:
        t: ``[N]`` whole numbers, sorted.
        duration: D, in the unit of t.

    Raises:
        TypeError: t holds no whole numbers.
        ValueError: duration is below 1, or time goes back.
    """
    return _duration_segments(sorted_times(t), positive("duration", duration))


def _duration_segments(
    times: NDArray[np.int64], D: int, cells: int = 1, dtype: DTypeLike = np.int64
) -> Segments:
    if not len(times):
        return _up_to_the_next(np.zeros(0, np.int64), 0)
    span = time_span(times)
    T = max(1, -(-span // D))
    refuse_too_many(T, cells, np.dtype(dtype))
    return _up_to_the_next(first_at(times, np.arange(T) * min(D, span + 1)), len(times))


def integrate_events_by_fixed_frames_number(
    events: EventColumns,
    split_by: str,
    frames_num: int,
    H: int,
    W: int,
    *,
    dtype: DTypeLike = np.int32,
) -> NDArray[Any]:
    """Frames ``[T, 2, H, W]`` of equally many events each, or of equal time.

    Args:
        events: t, x, y, p, each ``[N]``, of any integer type.
        split_by: ``"number"`` or ``"time"``, see :func:`cal_fixed_frames_number_segment_index`.
        frames_num: T.
        H: rows.
        W: columns.
        dtype: of the frames; counts are exact in it or refused.

    Raises:
        TypeError: a column holds no whole numbers.
        ValueError: time goes back, an event lies outside the frame, or dtype is too small.
    """
    columns = event_columns(events)
    axes = frame_axes(*columns[1:], positive("H", H), positive("W", W))
    refuse_too_many(positive("frames_num", frames_num), 2 * H * W, np.dtype(dtype))
    j_l, j_r = cal_fixed_frames_number_segment_index(columns.t, split_by, frames_num)
    return count_runs(axes, j_l, j_r, dtype)


def integrate_events_by_fixed_duration(
    events: EventColumns, duration: int, H: int, W: int, *, dtype: DTypeLike = np.int32
) -> NDArray[Any]:
    """Frames ``[T, 2, H, W]`` of a fixed duration; T follows from the length of the recording.

    Args:
        events: t, x, y, p, each ``[N]``, of any integer type.
        duration: of one frame, in the unit of t; see :func:`cal_fixed_duration_segment_index`.
        H: rows.
        W: columns.
        dtype: of the frames; counts are exact in it or refused.

    Raises:
        TypeError: a column holds no whole numbers.
        ValueError: time goes back, an event lies outside the frame, dtype is too small, or
            the frames would fill more than 256 GiB.
    """
    columns = event_columns(events)
    axes = frame_axes(*columns[1:], positive("H", H), positive("W", W))
    times, D = sorted_times(columns.t), positive("duration", duration)
    return count_runs(axes, *_duration_segments(times, D, 2 * H * W, dtype), dtype)


def integrate_spikes_by_fixed_frames_number(
    t: ArrayLike,
    x: ArrayLike,
    split_by: str,
    frames_num: int,
    W: int,
    *,
    dtype: DTypeLike = np.int32,
) -> NDArray[Any]:
    """Frames ``[T, W]`` of spikes of W units, as :func:`integrate_events_by_fixed_frames_number`.

    Time is split at ``t_0 + i (t_(N-1) - t_0) / T``, in float64 without rounding down.

    Args:
        t: ``[N]``, sorted, in any unit; whole or floating numbers.
        x: ``[N]``, the unit that fired, 0..W-1.
        split_by: ``"number"`` or ``"time"``.
        frames_num: T.
        W: number of units.
        dtype: of the frames.

    Raises:
        TypeError: t holds no numbers, or x no whole ones.
        ValueError: time goes back, lengths differ, or a unit is outside 0..W-1.
    """
    T, times, axis = positive("frames_num", frames_num), sorted_seconds(t), _units(t, x, W)
    N = len(times)
    if split_by == "number" or not N:
        starts = np.arange(T) * (N // T)
    elif split_by == "time":
        starts = np.searchsorted(times, (times[-1] - times[0]) / T * np.arange(T) + times[0])
    else:
        raise ValueError(f"split_by must be 'time' or 'number', got {split_by!r}")
    return count_runs([axis], *_up_to_the_next(starts, N), dtype)


def integrate_spikes_by_fixed_duration(
    t: ArrayLike, x: ArrayLike, duration: float, W: int, *, dtype: DTypeLike = np.int32
) -> NDArray[Any]:
    """Frames ``[T, W]`` of spikes of W units, as :func:`integrate_events_by_fixed_duration`.

    Args:
        t: ``[N]``, sorted; whole or floating numbers. Convert float16 to float64 before you
            change the unit: the sum of rounding errors moves spikes into other frames.
        x: ``[N]``, the unit that fired, 0..W-1.
        duration: of one frame, in the unit of t.
        W: number of units.
        dtype: of the frames.

    Raises:
        TypeError: t holds no numbers, or x no whole ones.
        ValueError: time goes back, lengths differ, a unit is outside 0..W-1, or duration is
            not positive.
    """
    times, axis = sorted_seconds(t), _units(t, x, W)
    if not duration > 0:
        raise ValueError(f"duration must be positive, got {duration}")
    if not len(times):
        return np.zeros((0, W), dtype)
    since_start = times - times[0]
    T = max(1, int(np.ceil(since_start[-1] / duration)))
    refuse_too_many(T, W, np.dtype(dtype))
    starts = np.searchsorted(since_start, np.arange(T) * duration)
    return count_runs([axis], *_up_to_the_next(starts, len(times)), dtype)


def _units(t: ArrayLike, x: ArrayLike, W: int) -> Axis:
    units = whole_numbers("x", x)
    same_length(t=np.asarray(t), x=units)
    return Axis("x", units, positive("W", W))


def _up_to_the_next(starts: NDArray[Any], N: int) -> Segments:
    return starts.astype(np.int64), np.append(starts[1:], [N] * (len(starts) > 0)).astype(np.int64)
