"""A blind square on the sensor.

DeVries and Taylor, "Improved Regularization of Convolutional Neural Networks with Cutout", 2017.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ._random import Rng
from ._samples import Sample, SensorSize, Transform, columns_of, is_events, selected, spatial_size
from ._warp import zeroed

__all__ = ["RandomCutout", "cutout"]


def cutout(sample: Sample, rows: range, columns: range) -> Sample:
    """Remove what happened in a rectangle, from events or from frames ``[..., H, W]``.

    Args:
        sample: events or frames.
        rows: rows of the rectangle; ``range(2, 5)`` are the rows 2, 3 and 4.
        columns: its columns.

    Raises:
        ValueError: a range has a step, or the events have no rows.
    """
    if rows.step != 1 or columns.step != 1:
        raise ValueError(f"rows and columns must be ranges without step, got {rows}, {columns}")
    if is_events(sample):
        x, y = columns_of(sample, "x", "y")
        hidden = (y >= rows.start) & (y < rows.stop) & (x >= columns.start) & (x < columns.stop)
        return selected(sample, ~hidden)
    height, width = sample.shape[-2:]
    row, column = np.meshgrid(
        np.arange(height)[slice(max(rows.start, 0), max(rows.stop, 0))],
        np.arange(width)[slice(max(columns.start, 0), max(columns.stop, 0))],
        indexing="ij",
    )
    return zeroed(_copy(sample), row.ravel(), column.ravel())


class RandomCutout(Transform):
    """:func:`cutout` of a square whose centre is any pixel; parts may lie outside.

    Args:
        length: side of the square in pixels.
        sensor_size: rows and columns, for events that do not carry it.
        rng: seed, generator or ``None``; see :mod:`sj_datasets.transforms`.

    Raises:
        ValueError: length is negative.
    """

    def __init__(self, length: int, *, sensor_size: SensorSize = None, rng: Rng = None) -> None:
        super().__init__(rng=rng)
        if length < 0:
            raise ValueError(f"length must not be negative, got {length}")
        self.length = length
        self.sensor_size = sensor_size

    def apply(self, sample: Sample, rng: np.random.Generator) -> Sample:
        size = spatial_size(sample, self.sensor_size)
        starts = (int(rng.integers(0, extent)) - self.length // 2 for extent in size)
        return cutout(sample, *(range(start, start + self.length) for start in starts))

    def __repr__(self) -> str:
        return f"RandomCutout({self.length})"


def _copy(frames: Any) -> Any:
    return frames.clone() if hasattr(frames, "clone") else np.array(frames)
