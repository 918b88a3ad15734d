"""Samples leaned to one side."""

from __future__ import annotations

import numpy as np

from ._random import Rng
from ._samples import Sample, SensorSize, Transform
from ._warp import warp

__all__ = ["RandomShear", "shear"]


def shear(sample: Sample, factor: float, *, sensor_size: SensorSize = None) -> Sample:
    """Shift each row by its distance from the middle: x' = x + factor (y - (H - 1) / 2).

    To the nearest pixel; what leaves the sensor is lost.

    Args:
        sample: events or frames ``[..., H, W]``.
        factor: columns per row.
        sensor_size: rows and columns, for events that do not carry it.

    Raises:
        ValueError: the sensor's size is not known, or an event lies outside.
    """
    return warp(sample, np.array([[1.0, factor], [0.0, 1.0]]), sensor_size)


class RandomShear(Transform):
    """:func:`shear` by up to ``max_factor`` in either direction.

    Args:
        max_factor: largest shift in columns per row.
        sensor_size: rows and columns, for events that do not carry it.
        rng: seed, generator or ``None``; see :mod:`sj_datasets.transforms`.

    Raises:
        ValueError: max_factor is negative.
    """

    def __init__(
        self, max_factor: float, *, sensor_size: SensorSize = None, rng: Rng = None
    ) -> None:
        super().__init__(rng=rng)
        if max_factor < 0:
            raise ValueError(f"max_factor must not be negative, got {max_factor}")
        self.max_factor = max_factor
        self.sensor_size = sensor_size

    def apply(self, sample: Sample, rng: np.random.Generator) -> Sample:
        factor = rng.uniform(-self.max_factor, self.max_factor)
        return shear(sample, factor, sensor_size=self.sensor_size)

    def __repr__(self) -> str:
        return f"RandomShear({self.max_factor})"
