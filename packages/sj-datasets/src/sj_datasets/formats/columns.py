"""Events as named columns: ``.npz`` with the arrays t, x, y, p, or ``.npy`` with these fields.

HARDVS (``.npz``) and DVS-Lip (``.npy``) are published so, and converted recordings are kept so.
Columns may come in any order and of any number type that holds whole numbers; polarities may be
0 and 1, or -1 and 1.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..atomic import atomic_path
from ..errors import FormatError
from ..events import EventColumns, Events
from ._binary import as_events, read_file
from ._npy import NPY_MAGIC, array_header, array_of, read_npz_arrays
from ._prophesee import check_inside

__all__ = ["read_columns", "write_columns"]

_FIELDS = ("t", "x", "y", "p")


def read_columns(
    path: str | os.PathLike[str], *, sensor_size: tuple[int, int] | None = None
) -> Events:
    """Events of a ``.npz`` or ``.npy`` file with columns t, x, y, p.

    Args:
        path: the file; its content, not its name, tells which of the two it is.
        sensor_size: rows and columns that events must lie in; neither kind of file states them.

    Raises:
        FileNotFoundError: no such file.
        FormatError: neither kind of file, a missing or broken column, values that are no whole
            numbers or do not fit, or an event outside the sensor.
    """
    start = read_file(path, len(NPY_MAGIC))
    if start == NPY_MAGIC:
        columns = _structured(path, read_file(path))
    elif start.startswith(b"PK"):
        columns = read_npz_arrays(path, _FIELDS)
    else:
        raise FormatError(path, "expected a .npy or .npz file", 0)
    return events_of_columns(path, columns, sensor_size)


def _structured(path: str | os.PathLike[str], data: bytes) -> dict[str, NDArray[Any]]:
    array = array_of(path, array_header(path, data), data)
    missing = [name for name in _FIELDS if name not in (array.dtype.names or ())]
    if missing:
        raise FormatError(
            path, f"expected the fields t, x, y, p, missing {', '.join(missing)}: {array.dtype}", 10
        )
    return {name: array[name] for name in _FIELDS}


def events_of_columns(
    path: str | os.PathLike[str],
    columns: Mapping[str, NDArray[Any]],
    sensor_size: tuple[int, int] | None,
) -> Events:
    """Events from arrays t, x, y, p that a file holds, each ``[N]`` of whole numbers.

    Raises:
        FormatError: the columns are no events of this sensor.
    """
    whole = {name: whole_numbers(path, name, columns[name]) for name in _FIELDS}
    p = whole["p"]
    if p.size and p.min() == -1 and not np.any(p == 0):
        whole["p"] = np.maximum(p, 0)
    try:
        events = Events.from_arrays(whole["t"], whole["x"], whole["y"], whole["p"])
    except (TypeError, ValueError) as error:
        raise FormatError(path, str(error)) from error
    if sensor_size is None:
        return events
    check_inside(path, events["x"], events["y"], sensor_size)
    return Events(events.array, sensor_size)


def whole_numbers(
    path: str | os.PathLike[str], name: str, column: NDArray[Any]
) -> NDArray[np.integer | np.bool_]:
    """``column`` itself if its type is one of whole numbers, or its values if they are whole.

    Raises:
        FormatError: other values.
    """
    if column.dtype.kind in "biu":
        return column
    if column.dtype.kind == "f":
        values = column.astype(np.float64)
        whole = (np.floor(values) == values) & (np.abs(values) < 2.0**63)
        if whole.all():
            return values.astype(np.int64)
        value = column[~whole].flat[0]
        raise FormatError(path, f"expected whole numbers in {name!r}, got {value}")
    raise FormatError(path, f"expected numbers in {name!r}, got {column.dtype}")


def write_columns(
    path: str | os.PathLike[str], events: EventColumns, *, compressed: bool = False
) -> None:
    """Write ``.npz`` (arrays t, x, y, p) or ``.npy`` (structured array), by the suffix.

    The sensor size is not kept; give it to the reader.

    Args:
        path: the file to write; it is replaced at the end.
        events: what to write.
        compressed: deflate the columns; ``.npz`` only.

    Raises:
        ValueError: another suffix, or ``compressed`` for ``.npy``.
        OSError: the folder is missing or not writable.
    """
    events = as_events(events)
    suffix = Path(path).suffix
    if suffix not in (".npz", ".npy") or (compressed and suffix == ".npy"):
        raise ValueError(
            f"columns are written to .npz, or uncompressed to .npy; got {os.fspath(path)!r}"
        )
    with atomic_path(path) as temporary:
        if suffix == ".npy":
            np.save(temporary, events.array)
        else:
            save = np.savez_compressed if compressed else np.savez
            save(temporary, t=events["t"], x=events["x"], y=events["y"], p=events["p"])
