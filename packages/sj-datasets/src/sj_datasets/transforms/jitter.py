"""Events moved a little, in space or in time."""

from __future__ import annotations

import numpy as np

from ..events import EventColumns
from ._random import Rng
from ._samples import Sample, SensorSize, Transform, events_only, replaced, selected, spatial_size

__all__ = ["SpatialJitter", "TimeJitter"]


class SpatialJitter(Transform):
    """Move each event by a normally distributed number of pixels; those that leave are dropped.

    Args:
        std: standard deviation in pixels, before rounding.
        sensor_size: rows and columns, for events that do not carry it.
        rng: seed, generator or ``None``; see :mod:`sj_datasets.transforms`.

    Raises:
        ValueError: std is negative.
    """

    def __init__(self, std: float, *, sensor_size: SensorSize = None, rng: Rng = None) -> None:
        super().__init__(rng=rng)
        self.std = _checked(std)
        self.sensor_size = sensor_size

    def apply(self, sample: Sample, rng: np.random.Generator) -> EventColumns:
        events = events_only(sample)
        size = spatial_size(events, self.sensor_size)
        inside = np.ones(len(events["t"]), bool)
        moved = {}
        for name, extent in zip("yx", size, strict=True):
            if name in events:
                steps = np.rint(rng.normal(0, self.std, len(inside))).astype(np.int64)
                moved[name] = np.asarray(events[name]).astype(np.int64) + steps
                inside &= (moved[name] >= 0) & (moved[name] < extent)
        kept = {name: column[inside] for name, column in moved.items()}
        return replaced(selected(events, inside), kept)

    def __repr__(self) -> str:
        return f"SpatialJitter({self.std})"


class TimeJitter(Transform):
    """Move each event by a normally distributed time, within the span of the sample.

    The events are put in order of their new times.

    Args:
        std: standard deviation in the unit of t.
        rng: seed, generator or ``None``; see :mod:`sj_datasets.transforms`.

    Raises:
        ValueError: std is negative.
    """

    def __init__(self, std: float, *, rng: Rng = None) -> None:
        super().__init__(rng=rng)
        self.std = _checked(std)

    def apply(self, sample: Sample, rng: np.random.Generator) -> EventColumns:
        events = events_only(sample)
        t = np.asarray(events["t"])
        if not len(t):
            return events
        steps = rng.normal(0, self.std, len(t))
        first, last = t.min(), t.max()
        if t.dtype.kind == "f":
            times = np.clip(t + steps, float(first), float(last))
        else:
            # since the first event, so that a late recording keeps its microseconds
            since = (t - first).astype(np.int64) + np.rint(steps).astype(np.int64)
            times = np.clip(since, 0, int(last) - int(first)) + int(first)
        moved = replaced(events, {"t": times})
        return selected(moved, np.argsort(moved["t"], kind="stable"))

    def __repr__(self) -> str:
        return f"TimeJitter({self.std})"


def _checked(std: float) -> float:
    if not 0 <= std < float("inf"):
        raise ValueError(f"std must not be negative, got {std}")
    return std
