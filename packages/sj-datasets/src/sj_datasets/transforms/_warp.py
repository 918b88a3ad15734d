"""Moving pixels: events are sent forward, frames look up where each pixel comes from.

With centre c = ((W - 1) / 2, (H - 1) / 2) and a 2 x 2 matrix A, a point u = (x, y) goes to

    u' = c + A (u - c)

rounded to the nearest pixel; what leaves the sensor is lost.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._samples import Sample, SensorSize, columns_of, is_events, replaced, selected, spatial_size

__all__ = ["warp", "zeroed"]


def warp(sample: Sample, matrix: NDArray[Any], sensor_size: SensorSize) -> Sample:
    """Send every pixel through ``matrix``, ``[2, 2]`` acting on (x, y)."""
    height, width = spatial_size(sample, sensor_size)
    if is_events(sample):
        old_x, old_y = columns_of(sample, "x", "y")
        x, y = _moved(matrix, old_x, old_y, height, width)
        inside = _inside(x, y, height, width)
        moved = {"x": x[inside], "y": y[inside]}
        return replaced(selected(sample, inside), moved)
    rows, columns = np.indices((height, width))
    x, y = _moved(np.linalg.inv(matrix), columns, rows, height, width)
    inside = _inside(x, y, height, width)
    looked_up = sample[..., np.where(inside, y, 0), np.where(inside, x, 0)]
    return zeroed(looked_up, *np.nonzero(~inside))


def zeroed(frames: Any, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> Any:
    """Set pixels of ``frames``, an array or tensor of one's own, to zero."""
    if len(rows):
        frames[..., rows, columns] = 0
    return frames


def _moved(
    matrix: NDArray[Any], x: NDArray[Any], y: NDArray[Any], height: int, width: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    across, down = x - (width - 1) / 2, y - (height - 1) / 2
    new_x = matrix[0, 0] * across + matrix[0, 1] * down + (width - 1) / 2
    new_y = matrix[1, 0] * across + matrix[1, 1] * down + (height - 1) / 2
    # rounding first: 0.4999999 and 0.5000001 of a half pixel must not part
    return tuple(np.floor(v.round(9) + 0.5).astype(np.int64) for v in (new_x, new_y))  # type: ignore[return-value]


def _inside(
    x: NDArray[np.int64], y: NDArray[np.int64], height: int, width: int
) -> NDArray[np.bool_]:
    return (x >= 0) & (x < width) & (y >= 0) & (y < height)
