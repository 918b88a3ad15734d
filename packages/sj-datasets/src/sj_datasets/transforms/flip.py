"""Mirror images of samples: left-right, up-down, polarity, time."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..events import EventColumns
from ._random import Rng
from ._samples import (
    Sample,
    SensorSize,
    Transform,
    columns_of,
    is_events,
    replaced,
    selected,
    spatial_size,
)

__all__ = ["FlipAxis", "RandomFlip", "flip"]

FlipAxis = Literal["horizontal", "vertical", "polarity", "time"]
_DIMENSIONS = {"horizontal": -1, "vertical": -2, "polarity": -3, "time": -4}


def flip(sample: Sample, axis: FlipAxis, *, sensor_size: SensorSize = None) -> Sample:
    """The mirror image of events or of frames ``[T, 2, H, W]``; twice gives the sample back.

        horizontal   x' = W - 1 - x
        vertical     y' = H - 1 - y
        polarity     p' = 1 - p, or -p where polarities are -1 and 1
        time         t' = min t + max t - t, last event first

    What gets brighter gets darker when time runs backwards: flip polarity, too, for that.

    Args:
        sample: events or frames.
        axis: what is mirrored.
        sensor_size: rows and columns, for events that do not carry it.

    Raises:
        ValueError: an unknown axis, frames without that dimension, or an unknown sensor size.
    """
    if axis not in _DIMENSIONS:
        raise ValueError(f"axis must be one of {', '.join(_DIMENSIONS)}, got {axis!r}")
    if is_events(sample):
        return _flip_events(sample, axis, sensor_size)
    dimension = _DIMENSIONS[axis]
    if sample.ndim < -dimension:
        raise ValueError(
            f"frames must be [T, 2, H, W] to flip {axis}, got shape {list(sample.shape)}"
        )
    # indices, since tensors have no negative strides
    order = np.arange(sample.shape[dimension])[::-1].copy()
    return sample[(..., order, *[slice(None)] * (-dimension - 1))]


class RandomFlip(Transform):
    """:func:`flip` some samples.

    Args:
        axis: ``"horizontal"``, ``"vertical"``, ``"polarity"`` or ``"time"``.
        probability: share of samples that are mirrored.
        sensor_size: rows and columns, for events that do not carry it.
        rng: seed, generator or ``None``; see :mod:`sj_datasets.transforms`.

    Raises:
        ValueError: an unknown axis, or no probability.
    """

    def __init__(
        self,
        axis: FlipAxis = "horizontal",
        probability: float = 0.5,
        *,
        sensor_size: SensorSize = None,
        rng: Rng = None,
    ) -> None:
        super().__init__(rng=rng)
        if axis not in _DIMENSIONS:
            raise ValueError(f"axis must be one of {', '.join(_DIMENSIONS)}, got {axis!r}")
        if not 0 <= probability <= 1:
            raise ValueError(f"probability must lie in 0..1, got {probability}")
        self.axis: FlipAxis = axis
        self.probability = probability
        self.sensor_size = sensor_size

    def apply(self, sample: Sample, rng: np.random.Generator) -> Sample:
        is_events(sample)  # what cannot be mirrored is refused, whatever is drawn
        if rng.random() < self.probability:
            return flip(sample, self.axis, sensor_size=self.sensor_size)
        return sample

    def __repr__(self) -> str:
        return f"RandomFlip({self.axis!r}, probability={self.probability})"


def _flip_events(events: EventColumns, axis: FlipAxis, sensor_size: SensorSize) -> EventColumns:
    if axis == "time":
        t = np.asarray(events["t"])
        if not len(t):
            return events
        if t.dtype.kind == "f":
            t = t.astype(np.float64)
        # the difference first: a sum could leave the type
        backwards = replaced(events, {"t": (t.max() - t) + t.min()})
        return selected(backwards, np.arange(len(t))[::-1])
    if axis == "polarity":
        (p,) = columns_of(events, "p")
        return replaced(events, {"p": _other_polarity(p)})
    height, width = spatial_size(events, sensor_size)
    name, size = ("x", width) if axis == "horizontal" else ("y", height)
    (position,) = columns_of(events, name)
    return replaced(events, {name: size - 1 - position.astype(np.int64)})


def _other_polarity(p: NDArray[Any]) -> NDArray[Any]:
    if p.dtype == np.bool_:
        return ~p
    return -p if p.size and p.min() < 0 else 1 - p
