"""Samples turned about the centre of the sensor."""

from __future__ import annotations

import numpy as np

from ._random import Rng
from ._samples import Sample, SensorSize, Transform
from ._warp import warp

__all__ = ["RandomRotate", "rotate"]


def rotate(sample: Sample, degrees: float, *, sensor_size: SensorSize = None) -> Sample:
    """Turn events or frames ``[..., H, W]`` counter-clockwise, to the nearest pixel.

    What leaves the sensor is lost; pixels that nothing reaches are zero.

    Args:
        sample: events or frames.
        degrees: angle.
        sensor_size: rows and columns, for events that do not carry it.

    Raises:
        ValueError: the sensor's size is not known, or an event lies outside.
    """
    angle = np.deg2rad(degrees)
    cosine, sine = np.cos(angle), np.sin(angle)
    # y points down, which turns the usual signs around
    return warp(sample, np.array([[cosine, sine], [-sine, cosine]]), sensor_size)


class RandomRotate(Transform):
    """:func:`rotate` by up to ``max_degrees`` in either direction.

    Args:
        max_degrees: largest angle.
        sensor_size: rows and columns, for events that do not carry it.
        rng: seed, generator or ``None``; see :mod:`sj_datasets.transforms`.

    Raises:
        ValueError: max_degrees is negative.
    """

    def __init__(
        self, max_degrees: float, *, sensor_size: SensorSize = None, rng: Rng = None
    ) -> None:
        super().__init__(rng=rng)
        if max_degrees < 0:
            raise ValueError(f"max_degrees must not be negative, got {max_degrees}")
        self.max_degrees = max_degrees
        self.sensor_size = sensor_size

    def apply(self, sample: Sample, rng: np.random.Generator) -> Sample:
        degrees = rng.uniform(-self.max_degrees, self.max_degrees)
        return rotate(sample, degrees, sensor_size=self.sensor_size)

    def __repr__(self) -> str:
        return f"RandomRotate({self.max_degrees})"
