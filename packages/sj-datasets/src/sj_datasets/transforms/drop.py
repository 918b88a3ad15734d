"""Events dropped at random, in a stretch of time, or in a part of the sensor.

Gu et al., "EventDrop: Data Augmentation for Event-based Learning", 2021.
"""

from __future__ import annotations

import numpy as np

from ..events import EventColumns
from ._random import Rng
from ._samples import Sample, SensorSize, Transform, events_only, selected, spatial_size
from .cutout import cutout

__all__ = ["DropByArea", "DropByCount", "DropByTime", "EventDrop"]

Ratio = float | tuple[float, float]
"""A share 0..1, or a range of shares from which each sample draws one."""


class _Drop(Transform):
    def __init__(self, ratio: Ratio, *, rng: Rng = None) -> None:
        super().__init__(rng=rng)
        self.ratio = ratio
        low, high = ratio if isinstance(ratio, tuple) else (ratio, ratio)
        if not 0 <= low <= high <= 1:
            raise ValueError(f"a ratio must lie in 0..1, got {ratio}")
        self._low, self._high = low, high

    def drawn_ratio(self, rng: np.random.Generator) -> float:
        return self._low if self._low == self._high else float(rng.uniform(self._low, self._high))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.ratio})"


class DropByTime(_Drop):
    """Drop the events of one stretch of time, which begins at random.

    Args:
        ratio: length of the stretch over the length of the sample, or a range of it.
        rng: seed, generator or ``None``; see :mod:`sj_datasets.transforms`.

    Raises:
        ValueError: ratio leaves 0..1.
    """

    def apply(self, sample: Sample, rng: np.random.Generator) -> EventColumns:
        events = events_only(sample)
        ratio, position = self.drawn_ratio(rng), rng.random()
        t = np.asarray(events["t"])
        if not len(t):
            return events
        since = (t - t.min()).astype(np.float64)
        length = ratio * since.max()
        start = position * (since.max() - length)
        return selected(events, (since < start) | (since >= start + length))


class DropByArea(_Drop):
    """Drop the events of a rectangle, which lies at random but wholly on the sensor.

    Args:
        ratio: sides of the rectangle over the sides of the sensor, or a range of it.
        sensor_size: rows and columns, for events that do not carry it.
        rng: seed, generator or ``None``; see :mod:`sj_datasets.transforms`.

    Raises:
        ValueError: ratio leaves 0..1.
    """

    def __init__(self, ratio: Ratio, *, sensor_size: SensorSize = None, rng: Rng = None) -> None:
        super().__init__(ratio, rng=rng)
        self.sensor_size = sensor_size

    def apply(self, sample: Sample, rng: np.random.Generator) -> EventColumns:
        events = events_only(sample)
        size, ratio = spatial_size(events, self.sensor_size), self.drawn_ratio(rng)
        sides = [round(ratio * extent) for extent in size]
        starts = [
            int(rng.integers(0, extent - side + 1))
            for extent, side in zip(size, sides, strict=True)
        ]
        ranges = (range(start, start + side) for start, side in zip(starts, sides, strict=True))
        return cutout(events, *ranges)


class DropByCount(_Drop):
    """Drop events at random, wherever they are: ``round(ratio N)`` of N.

    Args:
        ratio: share of events that are dropped, or a range of it.
        rng: seed, generator or ``None``; see :mod:`sj_datasets.transforms`.

    Raises:
        ValueError: ratio leaves 0..1.
    """

    def apply(self, sample: Sample, rng: np.random.Generator) -> EventColumns:
        events = events_only(sample)
        count = len(events["t"])
        dropped = round(self.drawn_ratio(rng) * count)
        keep = np.ones(count, bool)
        keep[rng.choice(count, dropped, replace=False)] = False
        return selected(events, keep)


class EventDrop(Transform):
    """One of four at random: nothing, :class:`DropByTime`, `DropByArea`, `DropByCount`.

    A sample that would lose all its events stays as it is.

    Args:
        time: shares for DropByTime.
        area: ratios for DropByArea.
        count: shares for DropByCount.
        sensor_size: rows and columns, for events that do not carry it.
        rng: seed, generator or ``None``; see :mod:`sj_datasets.transforms`.

    Raises:
        ValueError: a ratio leaves 0..1.
    """

    def __init__(
        self,
        *,
        time: Ratio = (0.1, 0.9),
        area: Ratio = (0.05, 0.3),
        count: Ratio = (0.1, 0.9),
        sensor_size: SensorSize = None,
        rng: Rng = None,
    ) -> None:
        super().__init__(rng=rng)
        self.choices: tuple[_Drop, ...] = (
            DropByTime(time),
            DropByArea(area, sensor_size=sensor_size),
            DropByCount(count),
        )

    def apply(self, sample: Sample, rng: np.random.Generator) -> EventColumns:
        choice = int(rng.integers(0, len(self.choices) + 1))
        if choice == len(self.choices):
            return events_only(sample)
        left = self.choices[choice].apply(sample, rng)
        return left if len(left["t"]) else sample

    def __repr__(self) -> str:
        return f"EventDrop({', '.join(map(repr, self.choices))})"
