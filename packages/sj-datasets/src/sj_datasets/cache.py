"""Samples on disk: one array per file, small, and quick to load.

Frames are kept in the smallest type that holds every value exactly: counts as uint8 in nearly
all cases, an eighth of float64.  Events are one structured array.  Trees of .npz files, one
array per key, are read as well.
"""

from __future__ import annotations

import functools
import io
import os
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from .atomic import atomic_path
from .errors import FormatError
from .events import Events
from .formats._npy import ArrayHeader, array_header, array_of, read_npz_arrays

__all__ = [
    "FrameLoader",
    "load_array",
    "load_events",
    "load_frames",
    "save_array",
    "save_events",
    "save_frames",
    "smallest_dtype",
]

_FIELDS = ("t", "x", "y", "p")
_HEADER = 128  # length of nearly every .npy header
_USUAL = b"\x01\x00" + (_HEADER - 10).to_bytes(2, "little")


def save_array(path: str | os.PathLike[str], array: NDArray[Any]) -> None:
    """Write ``array`` as .npy, whole or not at all.

    Raises:
        OSError: the disk is full, or the folder cannot be written; the message names the file.
    """
    array = np.ascontiguousarray(array)
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, np.lib.format.header_data_from_array_1_0(array))
    try:
        with atomic_path(path) as temporary, open(temporary, "wb") as file:
            file.write(header.getvalue())
            file.write(array.reshape(-1).view(np.uint8).data)
    except OSError as error:
        if error.errno is None or error.filename is not None:
            raise
        raise type(error)(error.errno, error.strerror, os.fspath(path)) from error


def load_array(path: str | os.PathLike[str]) -> NDArray[Any]:
    """Read a .npy file of numbers into an array of its own.

    Raises:
        FormatError: the file is no .npy array, holds objects, or is cut short.
    """
    with open(path, "rb", buffering=0) as file:
        head = file.read(_HEADER)
        header = _plain_header(head)
        if header is None or os.fstat(file.fileno()).st_size != header.end:
            return _parse_all(path, head + file.readall())
        array = np.empty(header.shape, header.dtype)
        view = array.reshape(-1).view(np.uint8).data
        done = 0
        while done < len(view) and (more := file.readinto(view[done:])):
            done += more
    if done != len(view):
        raise FormatError(path, f"{len(view)} bytes expected, {done} could be read", _HEADER)
    return array


@functools.lru_cache(maxsize=256)
def _plain_header(head: bytes) -> ArrayHeader | None:
    """What ``head`` says, if it is a whole header of the usual length, else ``None``."""
    if len(head) != _HEADER or head[6:10] != _USUAL:
        return None
    try:
        header = array_header("", head)
    except FormatError:
        return None
    return None if header.fortran_order or header.dtype.hasobject or not header.count else header


def _parse_all(path: str | os.PathLike[str], data: bytes) -> NDArray[Any]:
    return array_of(path, array_header(path, data), data).copy()


def smallest_dtype(frames: NDArray[Any]) -> np.dtype[Any]:
    """The smallest type that holds every value of ``frames`` exactly.

    Whole numbers from 0 on, floating or not: the smallest unsigned integer.  Negative integers:
    the smallest signed integer.  Everything else stays in its own type.

    Raises:
        TypeError: the frames are not numbers.
    """
    kind = frames.dtype.kind
    if kind not in "buif":
        raise TypeError(f"frames must be numbers, got {frames.dtype}")
    if kind == "b" or frames.size == 0:
        return np.dtype(np.uint8)
    low, high = frames.min(), frames.max()
    if kind == "f":
        # beyond 2^53 a float64 no longer tells whole numbers apart; such frames stay as they are
        if not (low >= 0 and high < 2**53) or not np.array_equal(np.trunc(frames), frames):
            return frames.dtype
        low, high = int(low), int(high)
    elif low < 0:
        return np.promote_types(np.min_scalar_type(int(low)), _signed_for(int(high)))
    return np.min_scalar_type(int(high))


def _signed_for(high: int) -> np.dtype[Any]:
    return np.min_scalar_type(-high - 1) if high >= 0 else np.dtype(np.int8)


def save_frames(path: str | os.PathLike[str], frames: Any) -> None:
    """Write frames ``[T, ...]`` in the smallest type that loses nothing."""
    array = np.asarray(frames)
    save_array(path, array.astype(smallest_dtype(array), copy=False))


def load_frames(path: str | os.PathLike[str], dtype: DTypeLike = np.float32) -> NDArray[Any]:
    """Frames ``[T, ...]`` of a .npy or .npz file, as a new writable array of type ``dtype``.

    Raises:
        FormatError: the file is damaged, or a .npz file without the key ``frames``.
        ValueError: ``dtype`` is an integer type too small for the frames.
    """
    if os.fspath(path).endswith(".npz"):
        frames = read_npz_arrays(path, ("frames",))["frames"]
    else:
        frames = load_array(path)
    return as_type(frames, np.dtype(dtype), path)


def as_type(
    frames: NDArray[Any], dtype: np.dtype[Any], source: str | os.PathLike[str]
) -> NDArray[Any]:
    """``frames`` as ``dtype``; an integer type that cannot hold them is refused."""
    if dtype.kind in "ui" and frames.size and not np.can_cast(frames.dtype, dtype):
        limits = np.iinfo(dtype)
        if frames.min() < limits.min or frames.max() > limits.max:
            raise ValueError(
                f"{os.fspath(source)}: frames reach from {frames.min()} to {frames.max()}, which "
                f"dtype {dtype} cannot hold; ask for a larger type"
            )
    owned = frames.dtype == dtype and frames.flags.writeable and frames.flags.owndata
    return frames if owned else frames.astype(dtype)


@dataclass(frozen=True)
class FrameLoader:
    """:func:`load_frames` with a fixed type; small to hand to loader processes."""

    dtype: np.dtype[Any]

    def __call__(self, path: str | os.PathLike[str]) -> NDArray[Any]:
        try:
            return load_frames(path, self.dtype)
        except FormatError as error:
            error.add_note(f"delete {os.fspath(path)} and make the dataset again to rebuild it")
            raise


def save_events(path: str | os.PathLike[str], events: Events) -> None:
    """Write events as one structured array."""
    save_array(path, events.array)


def load_events(path: str | os.PathLike[str]) -> dict[str, NDArray[Any]]:
    """Events of one sample as contiguous arrays t, x, y, p ``[N]``.

    Reads our structured .npy files and .npz files with one array per column; the types are
    those of the file.

    Raises:
        FormatError: the file is damaged or lacks a column.
    """
    if os.fspath(path).endswith(".npz"):
        return {key: column.copy() for key, column in read_npz_arrays(path, _FIELDS).items()}
    array = load_array(path)
    missing = [key for key in _FIELDS if key not in (array.dtype.names or ())]
    if missing:
        raise FormatError(path, f"no column {', '.join(missing)}; there is {array.dtype}", 0)
    return {key: np.ascontiguousarray(array[key]) for key in _FIELDS}
