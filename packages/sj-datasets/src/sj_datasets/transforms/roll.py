"""Samples shifted over the sensor; what leaves on one side enters on the other."""

from __future__ import annotations

import numpy as np

from ._random import Rng
from ._samples import Sample, SensorSize, Transform, is_events, replaced, spatial_size

__all__ = ["RandomRoll", "roll"]


def roll(sample: Sample, rows: int, columns: int, *, sensor_size: SensorSize = None) -> Sample:
    """Shift events or frames ``[..., H, W]``: x' = (x + columns) mod W, y' = (y + rows) mod H.

    Args:
        sample: events or frames.
        rows: shift downwards.
        columns: shift to the right.
        sensor_size: rows and columns, for events that do not carry it.

    Raises:
        ValueError: the sensor's size is not known, or an event lies outside.
    """
    height, width = spatial_size(sample, sensor_size)
    if not is_events(sample):
        from_row = (np.arange(height) - rows) % height
        from_column = (np.arange(width) - columns) % width
        return sample[..., from_row[:, None], from_column]
    shifts = {"x": (columns, width), "y": (rows, height)}
    return replaced(
        sample,
        {
            name: (np.asarray(sample[name]).astype(np.int64) + shift) % size
            for name, (shift, size) in shifts.items()
            if name in sample
        },
    )


class RandomRoll(Transform):
    """:func:`roll` by up to ``max_shift`` pixels in each direction.

    Args:
        max_shift: largest shift in pixels; one number, or (rows, columns).
        sensor_size: rows and columns, for events that do not carry it.
        rng: seed, generator or ``None``; see :mod:`sj_datasets.transforms`.

    Raises:
        ValueError: max_shift is negative.
    """

    def __init__(
        self,
        max_shift: int | tuple[int, int],
        *,
        sensor_size: SensorSize = None,
        rng: Rng = None,
    ) -> None:
        super().__init__(rng=rng)
        self.max_shift = (max_shift, max_shift) if isinstance(max_shift, int) else max_shift
        if min(self.max_shift) < 0:
            raise ValueError(f"max_shift must not be negative, got {max_shift}")
        self.sensor_size = sensor_size

    def apply(self, sample: Sample, rng: np.random.Generator) -> Sample:
        rows, columns = (int(rng.integers(-most, most + 1)) for most in self.max_shift)
        return roll(sample, rows, columns, sensor_size=self.sensor_size)

    def __repr__(self) -> str:
        return f"RandomRoll({self.max_shift})"
