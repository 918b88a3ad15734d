"""Noise of event cameras removed: lonely events, and pixels that fire again too soon.

Both are without randomness, and both need events in order of time.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..events import EventColumns
from ._samples import Sample, columns_of, events_only, selected

__all__ = ["Denoise", "RefractoryPeriod"]

_NEIGHBOURS = [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if dy or dx]


@dataclass(frozen=True)
class Denoise:
    """Keep an event only if one of its 8 neighbours fired shortly before.

    Delbruck, "Frame-free dynamic digital vision", 2008 (background activity filter).

    Args:
        within: longest time since the neighbour's last event, in the unit of t.

    Raises:
        ValueError: within is not positive; or, when called, time goes back.
    """

    within: float

    def __post_init__(self) -> None:
        _positive("within", self.within)

    def __call__(self, sample: Sample) -> EventColumns:
        events = events_only(sample)
        t = _sorted_times(events)
        N = len(t)
        # a border of one pixel, so that no neighbour lies on the other side
        y, x = (column.astype(np.int64) + 1 for column in columns_of(events, "y", "x"))
        width = int(x.max(initial=0)) + 2
        pixel = y * width + x
        order = np.argsort(pixel, kind="stable")
        t, pixel = t[order], pixel[order]
        # by pixel, then by time: the neighbour's last event before this one is found by search
        keys = pixel * N + order
        near = np.zeros(N, bool)
        for dy, dx in _NEIGHBOURS:
            step = dy * width + dx
            before = np.searchsorted(keys, keys + step * N) - 1
            near |= (before >= 0) & (pixel[before] == pixel + step) & (t - t[before] <= self.within)
        keep = np.empty(N, bool)
        keep[order] = near
        return selected(events, keep)


@dataclass(frozen=True)
class RefractoryPeriod:
    """Drop an event if its pixel has an event, itself kept, less than ``period`` before.

    Args:
        period: dead time of a pixel, in the unit of t.

    Raises:
        ValueError: period is not positive; or, when called, time goes back.
    """

    period: float

    def __post_init__(self) -> None:
        _positive("period", self.period)

    def __call__(self, sample: Sample) -> EventColumns:
        events = events_only(sample)
        t = _sorted_times(events)
        x = np.asarray(events["x"]).astype(np.int64)
        y = np.asarray(events["y"]).astype(np.int64) if "y" in events else np.zeros_like(x)
        order = np.lexsort((np.arange(len(t)), x, y))
        keep = np.empty(len(t), bool)
        keep[order] = _kept(t[order], (np.diff(x[order]) != 0) | (np.diff(y[order]) != 0), self)
        return selected(events, keep)


def _kept(
    t: NDArray[Any], new_pixel: NDArray[np.bool_], refractory: RefractoryPeriod
) -> NDArray[np.bool_]:
    """Which events are kept, given events by pixel and then by time.

    After a long enough gap an event is kept whatever came before, so the events fall into bursts
    that do not matter to each other; most are of one event.
    """
    keep = np.zeros(len(t), bool)
    if not len(t):
        return keep
    starts = np.flatnonzero(np.concatenate(([True], new_pixel | (np.diff(t) >= refractory.period))))
    keep[starts] = True
    ends = np.append(starts[1:], len(t))
    long = ends - starts > 1
    for start, end in zip(starts[long].tolist(), ends[long].tolist(), strict=True):
        times = t[start:end].tolist()
        following = bisect_left(times, times[0] + refractory.period)
        while following < len(times):
            keep[start + following] = True
            following = bisect_left(times, times[following] + refractory.period, following)
    return keep


def _sorted_times(events: EventColumns) -> NDArray[Any]:
    t = np.asarray(events["t"])
    t = t.astype(np.float64 if t.dtype.kind == "f" else np.int64)
    back = np.flatnonzero(np.diff(t) < 0)
    if len(back):
        raise ValueError(
            f"event {back[0] + 1} is earlier than the one before; sort the events first"
        )
    return t


def _positive(name: str, value: float) -> None:
    if not value > 0:
        raise ValueError(f"{name} must be positive, got {value}")
