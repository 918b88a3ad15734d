"""ASL-DVS: MATLAB files with the variables ts, x, y, pol, each ``[n, 1]``.

The 180 x 240 sensor was mounted upside down: x = 239 - x_raw, y = 179 - y_raw.  Files may be of
MATLAB 5 or of MATLAB 7.3, which is HDF5.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import FormatError
from ..events import EventColumns, Events
from ._binary import as_events, check_field, read_file, write_file
from ._matlab5 import is_matlab5, matlab5_bytes, read_matlab5
from ._prophesee import check_inside
from .columns import events_of_columns, whole_numbers

__all__ = ["read_asl_dvs", "write_asl_dvs"]

_HEIGHT, _WIDTH = 180, 240
_VARIABLES = ("ts", "x", "y", "pol")
_HDF5 = b"\x89HDF\r\n\x1a\n"


def read_asl_dvs(path: str | os.PathLike[str], *, upright: bool = True) -> Events:
    """Events of an ASL-DVS recording, in file order.

    Args:
        path: the ``.mat`` file.
        upright: turn the picture by 180 degrees as above; ``False`` keeps x and y as stored.

    Raises:
        FileNotFoundError: no such file.
        FormatError: not a whole MATLAB 5 or 7.3 file, a missing variable, values that are no
            whole numbers, or an event outside the sensor.
    """
    data = read_file(path)
    if data[:8] == _HDF5 or data[512:520] == _HDF5:
        variables = _from_hdf5(path, len(data))
    elif is_matlab5(data):
        variables = read_matlab5(path, data, _VARIABLES)
    else:
        raise FormatError(path, "expected the header of a MATLAB 5 or 7.3 file", 0)
    columns = {name: _column(path, name, variables.get(name)) for name in _VARIABLES}
    x, y = columns["x"], columns["y"]
    if len(x) == len(y):
        check_inside(path, x, y, (_HEIGHT, _WIDTH))
    if upright:
        x, y = _WIDTH - 1 - x, _HEIGHT - 1 - y
    named = {"t": columns["ts"], "x": x, "y": y, "p": columns["pol"]}
    return events_of_columns(path, named, (_HEIGHT, _WIDTH))


def _column(path: str | os.PathLike[str], name: str, value: object) -> NDArray[np.int64]:
    if not isinstance(value, np.ndarray):
        raise FormatError(path, f"expected a variable {name!r} of numbers")
    if value.size != max(value.shape, default=1) and value.size:
        raise FormatError(path, f"expected {name!r} of shape [n, 1], got {list(value.shape)}")
    whole = whole_numbers(path, name, value.reshape(-1))
    if whole.dtype.kind == "u" and whole.size and whole.max() > np.iinfo(np.int64).max:
        raise FormatError(path, f"expected {name!r} below 2^63, got {whole.max()}")
    return whole.astype(np.int64)


def _from_hdf5(path: str | os.PathLike[str], size: int) -> dict[str, Any]:
    import h5py

    try:
        with h5py.File(path, "r") as file:
            found = {name: file.get(name) for name in _VARIABLES}
            return {
                name: np.asarray(item[()])
                for name, item in found.items()
                # a data set may claim more values than any compression gets from these bytes
                if isinstance(item, h5py.Dataset) and (item.size or 0) <= 2000 * size
            }
    except Exception as error:  # HDF5 does not say which errors broken bytes lead to
        raise FormatError(path, f"expected a whole MATLAB 7.3 file ({error!r})") from error


def write_asl_dvs(
    path: str | os.PathLike[str], events: EventColumns, *, upright: bool = True
) -> None:
    """Write a MATLAB 5 file; ``path`` is replaced at the end.

    Args:
        path: the file to write.
        events: x below 240, y below 180.
        upright: whether ``events`` are turned as the reader's option does.

    Raises:
        ValueError: an event outside the sensor.
        OSError: the folder is missing or not writable.
    """
    events = as_events(events)
    check_field("x", events["x"], 0, _WIDTH - 1, "an ASL-DVS file")
    check_field("y", events["y"], 0, _HEIGHT - 1, "an ASL-DVS file")
    x, y = events["x"].astype(np.int16), events["y"].astype(np.int16)
    if upright:
        x, y = np.int16(_WIDTH - 1) - x, np.int16(_HEIGHT - 1) - y
    variables = {"ts": events["t"], "x": x, "y": y, "pol": events["p"].astype(np.int16)}
    columns = {name: column.reshape(-1, 1) for name, column in variables.items()}
    write_file(path, [matlab5_bytes(columns)])
