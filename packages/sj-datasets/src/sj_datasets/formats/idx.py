"""IDX arrays, the format of MNIST and its relatives.

    byte 0-1   zero
    byte 2     element type: 8 uint8, 9 int8, 11 int16, 12 int32, 13 float32, 14 float64
    byte 3     number of dimensions D
    4 D bytes  sizes, big-endian uint32
    then       the elements, big-endian, last index fastest

A file may be compressed by gzip as a whole.
"""

from __future__ import annotations

import gzip
import math
import os
import struct
import zlib
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..atomic import atomic_path
from ..errors import FormatError

__all__ = ["read_idx", "write_idx"]

_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_CODES = {np.dtype(name): code for code, name in _TYPES.items()}
_MOST_DIMENSIONS = 32  # numpy 1.26 stops here
_MOST_ELEMENTS = 2**48
_GZIP_MAGIC = b"\x1f\x8b"
_GZIP_RATIO = 1032  # deflate cannot compress better


def read_idx(path: str | os.PathLike[str]) -> NDArray[Any]:
    """The array in an IDX file, plain or gzip, in the machine's byte order.

    Raises:
        FileNotFoundError: the file does not exist.
        FormatError: the file is damaged, cut short, or not in this format.
    """
    path = Path(path)
    with open(path, "rb") as file:
        limit = os.fstat(file.fileno()).st_size
        packed = file.read(2) == _GZIP_MAGIC
        file.seek(0)
        if not packed:
            return _decoded(path, file, limit)
        try:
            with gzip.GzipFile(fileobj=file) as unpacked:
                return _decoded(path, unpacked, limit * _GZIP_RATIO)  # type: ignore[arg-type]
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise FormatError(path, f"damaged gzip data ({error})") from error


def write_idx(path: str | os.PathLike[str], array: ArrayLike) -> None:
    """Write an array as IDX; a path that ends in ``.gz`` is compressed.

    Raises:
        TypeError: the element type has no IDX code.
        ValueError: a size or the number of dimensions does not fit the format.
    """
    array = np.asarray(array)
    code = _CODES.get(array.dtype.newbyteorder(">"))
    if code is None:
        names = ", ".join(np.dtype(name).name for name in _TYPES.values())
        raise TypeError(f"IDX holds {names}; got {array.dtype}")
    if not 1 <= array.ndim <= _MOST_DIMENSIONS or max(array.shape) >= 2**32:
        raise ValueError(f"IDX holds 1..{_MOST_DIMENSIONS} dimensions, got shape {array.shape}")
    header = struct.pack(f">HBB{array.ndim}I", 0, code, array.ndim, *array.shape)
    data = header + array.astype(_TYPES[code]).tobytes()
    if Path(path).suffix == ".gz":
        data = gzip.compress(data, mtime=0)  # equal arrays give equal files
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)


def _decoded(path: Path, file: BinaryIO, limit: int) -> NDArray[Any]:
    start = file.read(4)
    if len(start) < 4 or start[:2] != b"\0\0" or start[2] not in _TYPES:
        raise FormatError(
            path, f"an IDX file starts with 00 00 and a type, got {start.hex(' ')}", 0
        )
    dimensions = start[3]
    if not 1 <= dimensions <= _MOST_DIMENSIONS:
        raise FormatError(path, f"{dimensions} dimensions, expected 1..{_MOST_DIMENSIONS}", 3)
    sizes = file.read(4 * dimensions)
    if len(sizes) < 4 * dimensions:
        raise FormatError(path, f"the file ends before its {dimensions} sizes", 4 + len(sizes))
    shape = struct.unpack(f">{dimensions}I", sizes)
    dtype = np.dtype(_TYPES[start[2]])
    expected = math.prod(shape) * dtype.itemsize
    offset = 4 + len(sizes)
    # sizes of an empty array count too: numpy refuses more than its index type holds
    if expected > limit or math.prod(max(size, 1) for size in shape) > _MOST_ELEMENTS:
        raise FormatError(path, f"shape {shape} needs {expected} bytes, more than the file has", 4)
    data = file.read(expected)
    if len(data) < expected:
        raise FormatError(
            path, f"shape {shape} needs {expected} bytes, {len(data)} are there", offset + len(data)
        )
    if file.read(1):
        raise FormatError(path, f"bytes follow the {shape} elements", offset + expected)
    array = np.empty(shape, dtype.newbyteorder("="))
    if expected:
        array[...] = np.frombuffer(data, dtype).reshape(shape)
    return array
