"""Events as other arrays than frames of counts: voxel grids, bins, bit frames, time surfaces.

N events, B bins, H rows, W columns. Events are in order of time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ._columns import Columns, event_columns, first_at, positive, sorted_times
from ._counting import Axis, cell_numbers, count_runs, frame_axes
from .events import EventColumns

__all__ = ["to_bina_rep", "to_binary_frames", "to_bins", "to_time_surface", "to_voxel_grid"]

_TOGETHER = 1 << 16  # events; weights and cells of more would only take memory


def to_voxel_grid(events: EventColumns, n_bins: int, H: int, W: int) -> NDArray[np.float32]:
    """Voxel grid ``[B, H, W]``: polarities, shared out to the two nearest bins in time.

        V[b, y, x] = sum over events there of s_k max(0, 1 - |b - u_k|)
        u_k = (B - 1) (t_k - t_0) / (t_(N-1) - t_0),   s_k = -1 where p = 0 or -1, else 1

    Zhu, Yuan, Chaney, Daniilidis: Unsupervised event-based learning of optical flow, depth, and
    egomotion, CVPR 2019. If all events happen at one instant, they are in bin 0.

    Args:
        events: t, x, y, p, each ``[N]``, of any integer type.
        n_bins: B.
        H: rows.
        W: columns.

    Raises:
        TypeError: a column holds no whole numbers.
        ValueError: time goes back, or an event lies outside the grid.
    """
    columns, B = event_columns(events), positive("n_bins", n_bins)
    axes = (Axis("y", columns.y, positive("H", H)), Axis("x", columns.x, positive("W", W)))
    times = sorted_times(columns.t)
    grid = np.zeros((B + 1) * H * W)  # one bin more takes the right neighbour of the last one
    step = max(_TOGETHER, len(grid))
    for start in range(0, len(times), step):
        stop = min(start + step, len(times))
        position = _position(times, start, stop) * (B - 1)
        left = position.astype(np.intp)
        share = position - left
        sign = np.where(columns.p[start:stop] > 0, 1.0, -1.0)
        cells = cell_numbers(axes, start, stop) + left * (H * W)
        grid += np.bincount(cells, sign * (1 - share), minlength=len(grid))
        grid += np.bincount(cells + H * W, sign * share, minlength=len(grid))
    return grid[: B * H * W].reshape(B, H, W).astype(np.float32)


def _position(times: NDArray[np.int64], start: int, stop: int) -> NDArray[np.float64]:
    """When events happen, from 0 for the first of all to 1 for the last of all."""
    span = float(times[-1]) - float(times[0])
    since = times[start:stop].astype(np.float64) - float(times[0])
    return since / (span or 1.0)


def to_bins(
    events: EventColumns, n_bins: int, H: int, W: int, *, dtype: DTypeLike = np.int32
) -> NDArray[Any]:
    """Counts ``[B, 2, H, W]`` in bins of exactly equal time.

        b_k = min(B - 1, floor(B (t_k - t_0) / (t_(N-1) - t_0)))

    Frames split by time round the length of a frame down and leave the rest to the last one.

    Args:
        events: t, x, y, p, each ``[N]``, of any integer type.
        n_bins: B.
        H: rows.
        W: columns.
        dtype: of the counts.

    Raises:
        TypeError: a column holds no whole numbers.
        ValueError: time goes back, or an event lies outside the grid.
    """
    columns, B = event_columns(events), positive("n_bins", n_bins)
    axes = frame_axes(*columns[1:], positive("H", H), positive("W", W))
    return count_runs(axes, *_equal_bins(columns, B), dtype)


def _equal_bins(columns: Columns, B: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    times = sorted_times(columns.t)
    if not len(times):
        return np.zeros(B, np.int64), np.zeros(B, np.int64)
    span = int(times[-1]) - int(times[0])
    # Python's integers: B times the span of a long recording is more than 64 bits hold
    edges = np.array([-(-b * span // B) for b in range(B)], np.int64)
    starts = first_at(times, edges)
    if span == 0:
        starts[1:] = len(times)
    return starts, np.append(starts[1:], len(times))


def to_binary_frames(events: EventColumns, n_bins: int, H: int, W: int) -> NDArray[np.uint8]:
    """1 where a pixel fired at least once in a bin of :func:`to_bins`, ``[B, 2, H, W]``."""
    return (to_bins(events, n_bins, H, W) > 0).astype(np.uint8)


def to_bina_rep(
    events: EventColumns, n_frames: int, n_bits: int, H: int, W: int
) -> NDArray[np.float32]:
    """Bit frames ``[n_frames, 2, H, W]``: each pixel's binary frames read as one number in [0, 1].

        R[i] = sum over j < n of 2^(n - 1 - j) b[i n + j] / (2^n - 1),   n = n_bits

    with the binary frames b of :func:`to_binary_frames`. Barchid, Mennesson, Djeraba: Bina-Rep
    event frames: a simple and effective representation for event-based cameras, ICIP 2022.

    Raises:
        TypeError: a column holds no whole numbers.
        ValueError: time goes back, an event lies outside the grid, or n_bits is not in 1..24.
    """
    if not 1 <= positive("n_bits", n_bits) <= 24:
        raise ValueError(f"n_bits must be in 1..24, which float32 holds exactly, got {n_bits}")
    bits = to_binary_frames(events, positive("n_frames", n_frames) * n_bits, H, W)
    numbers = np.zeros((n_frames, 2, H, W), np.int64)
    for j in range(n_bits):
        numbers = 2 * numbers + bits[j::n_bits]
    return (numbers / (2**n_bits - 1)).astype(np.float32)


def to_time_surface(
    events: EventColumns,
    H: int,
    W: int,
    tau: float,
    at: int | Sequence[int] | NDArray[np.integer] | None = None,
) -> NDArray[np.float32]:
    """Time surface ``[2, H, W]``: how long ago each pixel last fired, decaying with tau.

        S[c, y, x] = exp(-(at - t_last) / tau),   0 where nothing happened up to `at`

    Lagorce, Orchard, Galluppi, Shi, Benosman: HOTS: a hierarchy of event-based time-surfaces for
    pattern recognition, TPAMI 2017; here of the whole sensor.

    Args:
        events: t, x, y, p, each ``[N]``, of any integer type.
        H: rows.
        W: columns.
        tau: time constant in the unit of t.
        at: when to look; by default at the last event. K times give ``[K, 2, H, W]``.

    Raises:
        TypeError: a column holds no whole numbers.
        ValueError: time goes back, an event lies outside the surface, or tau is not positive.
    """
    if not tau > 0:
        raise ValueError(f"tau must be positive, got {tau}")
    columns = event_columns(events)
    axes = frame_axes(*columns[1:], positive("H", H), positive("W", W))
    times = sorted_times(columns.t)
    if at is None:
        at = int(times[-1]) if len(times) else 0
    moments = np.atleast_1d(np.asarray(at, np.int64))
    surfaces = np.zeros((len(moments), 2, H, W), np.float32)
    last = np.full(2 * H * W, -np.inf)
    begin, start = int(times[0]) if len(times) else 0, 0
    for k in np.argsort(moments, kind="stable"):
        stop = int(np.searchsorted(times, moments[k], side="right"))
        # of several events in one cell numpy keeps the last one it is given
        last[cell_numbers(axes, start, stop)] = times[start:stop] - begin
        surfaces[k] = np.exp((last - (int(moments[k]) - begin)) / tau).reshape(2, H, W)
        start = stop
    return surfaces if np.ndim(at) else surfaces[0]
