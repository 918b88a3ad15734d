"""ASL-DVS: MATLAB files with the variables ts, x, y, pol, each ``[n, 1]``.

The 180 x 240 sensor was mounted upside down: x = 239 - x_raw, y = 179 - y_raw.  MATLAB 5 files
are read through SciPy, 7.3 files, which are HDF5, through h5py.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..atomic import atomic_path
from ..errors import FormatError
from ..events import EventColumns, Events
from ._binary import as_events, check_field, read_file
from ._prophesee import check_inside
from .columns import events_of_columns, whole_numbers

__all__ = ["read_asl_dvs", "write_asl_dvs"]

_HEIGHT, _WIDTH = 180, 240
_VARIABLES = ("ts", "x", "y", "pol")
_HDF5 = b"\x89HDF\r\n\x1a\n"
_HEADER = 128


def read_asl_dvs(path: str | os.PathLike[str], *, upright: bool = True) -> Events:
    """Events of an ASL-DVS recording, in file order.

    Args:
        path: the ``.mat`` file.
        upright: turn the picture by 180 degrees as above; ``False`` keeps x and y as stored.

    Raises:
        FileNotFoundError: no such file.
        FormatError: not a whole MATLAB 5 or 7.3 file, a missing variable, values that are no
            whole numbers, or an event outside the sensor.
        ImportError: SciPy is missing.
    """
    data = read_file(path)
    if data[:8] == _HDF5 or data[512:520] == _HDF5:
        variables = _from_hdf5(path, len(data))
    else:
        _check_elements(path, data)
        variables = _from_matlab5(path)
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


def _check_elements(path: str | os.PathLike[str], data: bytes) -> None:
    """Walk the variables of a MATLAB 5 file: each must end within the file."""
    if len(data) < _HEADER or data[126:128] not in (b"IM", b"MI"):
        raise FormatError(path, "expected the header of a MATLAB 5 or 7.3 file", 0)
    order = "<u4" if data[126:128] == b"IM" else ">u4"
    offset = _HEADER
    while offset < len(data):
        tag = np.frombuffer(data[offset : offset + 8].ljust(8, b"\0"), order)
        end = offset + 8 + int(tag[1])
        if int(tag[0]) not in (14, 15) or end > len(data):
            raise FormatError(
                path,
                "expected a variable that ends within the file, got type "
                f"{tag[0]} with {tag[1]} bytes",
                offset,
            )
        offset = end


def _from_matlab5(path: str | os.PathLike[str]) -> dict[str, Any]:
    try:
        from scipy.io import loadmat
    except ImportError as error:
        raise _missing_scipy() from error
    try:
        return loadmat(os.fspath(path), variable_names=_VARIABLES, appendmat=False)
    except Exception as error:  # SciPy does not say which errors broken bytes lead to
        raise FormatError(path, f"expected a whole MATLAB 5 file ({error!r})") from error


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
    except Exception as error:  # nor does HDF5
        raise FormatError(path, f"expected a whole MATLAB 7.3 file ({error!r})") from error


def _missing_scipy() -> ImportError:
    return ImportError(".mat files of ASL-DVS need SciPy: pip install 'sj-datasets[mat]'")


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
        ImportError: SciPy is missing.
        OSError: the folder is missing or not writable.
    """
    try:
        from scipy.io import savemat
    except ImportError as error:
        raise _missing_scipy() from error
    events = as_events(events)
    check_field("x", events["x"], 0, _WIDTH - 1, "an ASL-DVS file")
    check_field("y", events["y"], 0, _HEIGHT - 1, "an ASL-DVS file")
    x, y = events["x"].astype(np.int16), events["y"].astype(np.int16)
    if upright:
        x, y = np.int16(_WIDTH - 1) - x, np.int16(_HEIGHT - 1) - y
    variables = {"ts": events["t"], "x": x, "y": y, "pol": events["p"].astype(np.int16)}
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        savemat(file, {name: column.reshape(-1, 1) for name, column in variables.items()})
