"""How many events lie in each cell of a grid, one grid per run of events.

A run is a range ``[start, stop)`` of event indices; runs may be empty, and may overlap. Cells are
numbered in C order over the axes, such as (p, y, x).

N events, R runs, C cells of a grid.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

__all__ = ["Axis", "cell_numbers", "count_runs", "frame_axes", "polarity"]

_TOGETHER = 1 << 16  # events, or cells, that are worked on at once: they fit the processor's cache
_TOO_MUCH = 1 << 38  # bytes; more is a mistake in the times or in their unit
_INDEX = 64  # bytes to keep the limits of a frame


@dataclass(frozen=True)
class Axis:
    """One coordinate of all events.

    Args:
        name: what errors call it.
        values: ``[N]`` whole numbers.
        size: values are in ``[0, size)``.
        binary: whether all that counts is zero or not zero; then size is 2.
    """

    name: str
    values: NDArray[Any]
    size: int
    binary: bool = False

    def part(self, start: int, stop: int) -> NDArray[Any]:
        """The coordinates of some events, contiguous.

        Raises:
            ValueError: one is outside, with its index.
        """
        values = np.ascontiguousarray(self.values[start:stop])
        if self.binary:
            return values if values.dtype == np.bool_ else values != 0
        # a negative number is a large one when its bits are read without sign
        bits = values.view(values.dtype.str.replace("i", "u"))
        if len(values) and int(bits.max()) >= self.size:
            worst = int((bits >= self.size).argmax())
            raise ValueError(
                f"event {start + worst} has {self.name} = {values[worst]}, "
                f"outside 0..{self.size - 1}; check the sensor's size"
            )
        return values


def polarity(values: NDArray[Any]) -> Axis:
    """Channel 0 for p = 0, channel 1 for all others, -1 included."""
    return Axis("p", values, 2, binary=True)


def frame_axes(
    x: NDArray[Any], y: NDArray[Any], p: NDArray[Any], H: int, W: int
) -> tuple[Axis, ...]:
    """Axes of frames ``[2, H, W]``."""
    return polarity(p), Axis("y", y, H), Axis("x", x, W)


def cell_numbers(axes: Sequence[Axis], start: int, stop: int) -> NDArray[np.intp]:
    """The cell of each event in ``[start, stop)``.

    Raises:
        ValueError: an event lies outside the grid.
    """
    # arithmetic in the smallest type is several times faster; the smallest is also unsigned
    dtype = np.min_scalar_type(math.prod(axis.size for axis in axes))
    cells = axes[0].part(start, stop).astype(dtype)
    for axis in axes[1:]:
        cells *= dtype.type(axis.size)
        cells += axis.part(start, stop).astype(dtype, copy=False)
    return cells.astype(np.intp)


def count_runs(
    axes: Sequence[Axis],
    starts: NDArray[np.integer],
    stops: NDArray[np.integer],
    dtype: DTypeLike = np.int32,
) -> NDArray[Any]:
    """Counts ``[R, *sizes]`` in time O(events in runs + R C).

    Raises:
        TypeError: dtype holds no numbers.
        ValueError: an event lies outside the grid, dtype cannot hold a count, or the counts
            would fill more than 256 GiB.
    """
    sizes = [axis.size for axis in axes]
    cells = math.prod(sizes)
    most = _largest_count(np.dtype(dtype))
    refuse_too_many(len(starts), cells, np.dtype(dtype))
    counts = np.zeros((len(starts), cells), dtype)
    for first, last in _groups(starts, stops, cells):
        if stops[last - 1] == starts[first]:
            continue  # memory that nobody writes to is not even taken
        found = _count_group(axes, starts[first:last], stops[first:last], cells)
        if stops[last - 1] - starts[first] > most and found.max() > most:
            raise ValueError(
                f"a cell counts {found.max()} events, more than {np.dtype(dtype)} can hold; "
                "ask for a wider dtype"
            )
        counts[first:last] = found.reshape(-1, cells)
    return counts.reshape(-1, *sizes)


def refuse_too_many(frames: int, cells: int, dtype: np.dtype[Any]) -> None:
    """Raise a ValueError for frames that no memory holds, before anything is allocated."""
    if frames * max(_INDEX, cells * dtype.itemsize) > _TOO_MUCH:
        raise ValueError(
            f"{frames} frames of {cells} cells would fill more than 256 GiB: "
            "is a time wrong, or in another unit?"
        )


def _largest_count(dtype: np.dtype[Any]) -> int:
    if dtype.kind in "iu":
        return int(np.iinfo(dtype).max)
    if dtype.kind == "f":
        return 1 << (np.finfo(dtype).nmant + 1)
    raise TypeError(f"frames are whole or floating numbers, got dtype {dtype}")


def _groups(
    starts: NDArray[np.integer], stops: NDArray[np.integer], cells: int
) -> Iterator[tuple[int, int]]:
    """Ranges of runs to count at once: many small adjacent ones, or one."""
    first, total = 0, len(starts)
    most = max(1, _TOGETHER // cells)
    begins, ends = starts.tolist(), stops.tolist()
    while first < total:
        last = first + 1
        while (
            last < total
            and last - first < most
            and begins[last] == ends[last - 1]
            and ends[last] - begins[first] <= _TOGETHER
        ):
            last += 1
        yield first, last
        first = last


def _count_group(
    axes: Sequence[Axis],
    starts: NDArray[np.integer],
    stops: NDArray[np.integer],
    cells: int,
) -> NDArray[np.intp]:
    start, stop = int(starts[0]), int(stops[-1])
    if len(starts) > 1:
        numbers = cell_numbers(axes, start, stop)
        numbers += np.repeat(np.arange(len(starts)) * cells, stops - starts)
        return np.bincount(numbers, minlength=len(starts) * cells)
    step = max(_TOGETHER, cells)  # so that adding up grids takes no longer than counting
    found = np.bincount(cell_numbers(axes, start, min(start + step, stop)), minlength=cells)
    for begin in range(start + step, stop, step):
        numbers = cell_numbers(axes, begin, min(begin + step, stop))
        found += np.bincount(numbers, minlength=cells)
    return found
