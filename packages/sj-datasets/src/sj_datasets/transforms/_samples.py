"""What transforms need to know of a sample: events by name, or frames ``[..., H, W]``."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..events import EventColumns, Events
from ._random import RandomSource, Rng

__all__ = [
    "Sample",
    "SensorSize",
    "Transform",
    "columns_of",
    "events_only",
    "is_events",
    "replaced",
    "selected",
    "spatial_size",
]

Sample = Any
"""`Events`, a dict of event columns, or frames as a numpy array or torch tensor."""

SensorSize = tuple[int, int] | None


class Transform(abc.ABC):
    """A random change of one sample; called with a sample, it returns a new one.

    Args:
        rng: seed, numpy generator, or ``None``; see :class:`RandomSource`.
    """

    def __init__(self, *, rng: Rng = None) -> None:
        self._random = RandomSource(rng)

    def __call__(self, sample: Sample) -> Sample:
        return self.apply(sample, self._random.generator())

    @abc.abstractmethod
    def apply(self, sample: Sample, rng: np.random.Generator) -> Sample:
        """The changed sample, with all randomness drawn from ``rng``."""


def is_events(sample: Sample) -> bool:
    """Whether a sample is events rather than frames.

    Raises:
        TypeError: it is neither.
    """
    if isinstance(sample, Mapping):
        if "t" in sample and "x" in sample:
            return True
        raise TypeError(f"events need the arrays t and x, got {sorted(map(str, sample))}")
    if getattr(sample, "ndim", 0) >= 2 and not isinstance(sample, list):
        return False
    raise TypeError(
        f"expected events (a dict of t, x, y, p) or frames [..., H, W], got {type(sample).__name__}"
    )


def events_only(sample: Sample) -> EventColumns:
    """The sample, if it is events.

    Raises:
        TypeError: it is frames, or neither.
    """
    if not is_events(sample):
        raise TypeError("this transform works on events, not on frames; use it before integrating")
    return sample


def columns_of(events: EventColumns, *names: str) -> list[NDArray[Any]]:
    """Columns by name.

    Raises:
        ValueError: one is missing, as y and p are in spike trains of one row of units.
    """
    missing = [name for name in names if name not in events]
    if missing:
        raise ValueError(
            f"this transform needs {', '.join(missing)}, the events have {', '.join(events)}"
        )
    return [np.asarray(events[name]) for name in names]


def selected(events: EventColumns, keep: NDArray[Any]) -> EventColumns:
    """The events at a mask or at indices, in the container they came in."""
    if isinstance(events, Events):
        return Events(events.array[keep], events.sensor_size)
    return {name: np.asarray(column)[keep] for name, column in events.items()}


def replaced(events: EventColumns, columns: Mapping[str, NDArray[Any]]) -> EventColumns:
    """Events with some columns exchanged, each in its old type."""
    if isinstance(events, Events):
        array = events.array.copy()
        for name, column in columns.items():
            array[name] = column
        return Events(array, events.sensor_size)
    old = {name: np.asarray(column) for name, column in events.items()}
    return old | {name: column.astype(old[name].dtype) for name, column in columns.items()}


def spatial_size(sample: Sample, sensor_size: SensorSize) -> tuple[int, int]:
    """Rows and columns of a sample.

    Raises:
        ValueError: events that carry no sensor size, and none was given; or an event outside.
    """
    if not is_events(sample):
        return int(sample.shape[-2]), int(sample.shape[-1])
    size = sensor_size or getattr(sample, "sensor_size", None)
    if size is None:
        raise ValueError("the sensor's size is not known; give sensor_size=(rows, columns)")
    for name, extent in zip("yx", size, strict=True):
        column = sample.get(name)
        if column is not None and len(column) and not 0 <= column.min() <= column.max() < extent:
            raise ValueError(
                f"events have {name} in {column.min()}..{column.max()}, outside the sensor of "
                f"{size[0]} rows and {size[1]} columns"
            )
    return size
