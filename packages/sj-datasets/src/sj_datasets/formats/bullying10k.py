"""Bullying10K: ``.npy`` with an object array of frames, each a list of events (t, x, y, p, ...).

The array is a pickle; it is read without running anything the pickle asks for. Arrays of plain
numbers ``[frames, events, 4 or more]``, which numpy writes when all frames have the same number of
events, are read as well. The sensor has 260 x 346 pixels; t is in us.
"""

from __future__ import annotations

import os
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..atomic import atomic_path
from ..errors import FormatError
from ..events import EventColumns, Events
from ._binary import as_events, check_field, read_file
from ._npy import array_header, array_of
from ._number_pickle import PickledArray, load_pickled_array
from .columns import events_of_columns

__all__ = ["read_bullying10k", "write_bullying10k"]

_HEIGHT, _WIDTH = 260, 346
_NUMBERS = {int, float, bool}
_MOST_FIELDS = 16


def read_bullying10k(path: str | os.PathLike[str]) -> Events:
    """Events of a Bullying10K recording: all frames one after the other.

    Raises:
        FileNotFoundError: no such file.
        FormatError: no ``.npy`` file, a pickle of anything else than lists of numbers, values that
            are no whole numbers, or an event outside the sensor.
    """
    data = read_file(path)
    header = array_header(path, data)
    if header.dtype.hasobject:
        array = load_pickled_array(path, data, header.start)
        if array.shape != header.shape:
            raise FormatError(
                path,
                f"expected an array of shape {list(header.shape)}, got {list(array.shape)}",
                header.start,
            )
        tables = _tables(path, array, len(data))
    else:
        numbers = array_of(path, header, data)
        if numbers.dtype.names or numbers.ndim < 2 or numbers.shape[-1] < 4:
            raise FormatError(
                path,
                "expected an object array of frames or numbers of shape [frames, events, 4], got "
                f"{list(numbers.shape)} of {numbers.dtype}",
                header.start,
            )
        tables = [numbers.reshape(-1, numbers.shape[-1])[:, :4]]
    rows = np.concatenate(tables) if tables else np.empty((0, 4), np.int64)
    columns = dict(zip("txyp", rows.T, strict=True))
    return events_of_columns(path, columns, (_HEIGHT, _WIDTH))


def _tables(path: str | os.PathLike[str], array: PickledArray, most: int) -> list[NDArray[Any]]:
    """Four columns per frame; a pickle of ``most`` bytes cannot hold more events than that."""
    frames = array.values
    if not isinstance(frames, list) or len(array.shape) not in (1, 3):
        raise FormatError(path, f"expected an array of frames, got shape {list(array.shape)}")
    if len(array.shape) == 3 and frames:
        # numpy nests lists of equal length that are turned into an object array
        return [_table(path, 0, frames, array.shape[2])]
    tables, count = [], 0
    for number, frame in enumerate(frames):
        values = frame.values if isinstance(frame, PickledArray) else frame
        if not isinstance(values, list | tuple | np.ndarray):
            raise _no_frame(path, number, type(frame).__name__)
        count += len(values)
        if count > most:
            raise FormatError(path, f"expected at most {most} events, the pickle repeats its lists")
        if len(values):
            tables.append(_frame_table(path, number, values))
    return tables


def _frame_table(path: str | os.PathLike[str], number: int, frame: Any) -> NDArray[Any]:
    if isinstance(frame, np.ndarray):
        if frame.ndim != 2 or frame.shape[1] < 4:
            raise _no_frame(path, number, f"numbers of shape {list(frame.shape)}")
        return frame[:, :4]
    kinds = set(map(type, frame))
    widths = set(map(len, frame)) if kinds <= {tuple, list} else set()
    if len(widths) != 1:
        names = ", ".join(sorted(kind.__name__ for kind in kinds))
        raise _no_frame(path, number, f"{names} of {len(widths)} lengths")
    (width,) = widths
    return _table(path, number, list(chain.from_iterable(frame)), width)


def _table(path: str | os.PathLike[str], number: int, flat: list[Any], width: int) -> NDArray[Any]:
    if not 4 <= width <= _MOST_FIELDS:
        raise _no_frame(path, number, f"events of {width} values")
    kinds = set(map(type, flat))
    if not kinds <= _NUMBERS:
        names = ", ".join(sorted(kind.__name__ for kind in kinds))
        raise _no_frame(path, number, f"values of type {names}")
    try:
        table = np.array(flat, np.float64 if float in kinds else np.int64)
    except OverflowError:
        raise _no_frame(path, number, "a number beyond 64 bits") from None
    return table.reshape(-1, width)[:, :4]


def _no_frame(path: str | os.PathLike[str], number: int, found: str) -> FormatError:
    return FormatError(
        path, f"expected frame {number} to be a list of (t, x, y, p) of numbers, got {found}"
    )


def write_bullying10k(
    path: str | os.PathLike[str], events: EventColumns, *, frames: int = 10
) -> None:
    """Write ``events`` in ``frames`` lists of about equal length; ``path`` is replaced at the end.

    Raises:
        ValueError: an event outside 260 x 346 pixels, or less than one frame.
        OSError: the folder is missing or not writable.
    """
    events = as_events(events)
    check_field("x", events["x"], 0, _WIDTH - 1, "Bullying10K")
    check_field("y", events["y"], 0, _HEIGHT - 1, "Bullying10K")
    if frames < 1:
        raise ValueError(f"frames must be at least 1, got {frames}")
    rows = list(zip(*(events[name].tolist() for name in "txyp"), strict=True))
    bounds = [i * len(rows) // frames for i in range(frames + 1)]
    array = np.empty(frames, object)
    for i in range(frames):
        array[i] = rows[bounds[i] : bounds[i + 1]]
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        np.save(file, array, allow_pickle=True)
