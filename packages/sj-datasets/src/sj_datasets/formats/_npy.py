"""Arrays in ``.npy`` and ``.npz`` files, with every size checked before memory is taken.

A header is data from elsewhere: types are limited to plain numbers, counts to what the file can
hold, and Python objects are never created.
"""

from __future__ import annotations

import ast
import math
import os
import re
import struct
import zipfile
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import FormatError

__all__ = ["NPY_MAGIC", "ArrayHeader", "array_header", "array_of", "read_npz_arrays"]

PathLike = str | os.PathLike[str]
NPY_MAGIC = b"\x93NUMPY"
_LONGEST_HEADER = 10_000
_HEAD = _LONGEST_HEADER + 12
_SCALAR = re.compile(r"[<>|=]?(?:\?|b1|[iu][1248]|f[248])")
_SKIPPED = re.compile(r"[<>|=]?[SUVc][0-9]{1,6}")  # allowed for fields that nobody reads
# deflate packs at most 1032 bytes into one
_MOST_DEFLATED = 1032
_BROKEN_ZIP = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    NotImplementedError,
    OSError,
    OverflowError,
    RuntimeError,
    ValueError,
)


@dataclass(frozen=True)
class ArrayHeader:
    """What the header of an array says; ``start`` is the offset of the first value."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    fortran_order: bool
    start: int

    @property
    def count(self) -> int:
        return math.prod(self.shape)

    @property
    def end(self) -> int:
        return self.start + self.count * self.dtype.itemsize


def array_header(path: PathLike, data: bytes, what: str = "") -> ArrayHeader:
    """Header of the ``.npy`` bytes ``data``; ``what`` names them within the file.

    Raises:
        FormatError: no such header, or a type that is neither plain numbers nor fields of them.
    """
    if not data.startswith(NPY_MAGIC) or len(data) < 12:
        raise FormatError(path, f"{what}expected a .npy header", None if what else 0)
    wide = data[6] >= 2
    begin = 12 if wide else 10
    length = int.from_bytes(data[8:begin], "little")
    if data[6] not in (1, 2, 3) or length > _LONGEST_HEADER or len(data) < begin + length:
        raise FormatError(
            path,
            f"{what}expected .npy version 1 to 3 with a header of at most {_LONGEST_HEADER} "
            f"bytes, got version {data[6]} and {length} bytes",
            None if what else 6,
        )
    try:
        text = data[begin : begin + length].decode("utf-8" if data[6] == 3 else "latin-1")
        dtype, shape, fortran_order = _fields(text)
    except (KeyError, TypeError, ValueError, SyntaxError, MemoryError, RecursionError) as error:
        raise FormatError(
            path,
            f"{what}expected a .npy header of plain numbers ({error})",
            None if what else begin,
        ) from error
    return ArrayHeader(dtype, shape, fortran_order, begin + length)


def _fields(text: str) -> tuple[np.dtype[Any], tuple[int, ...], bool]:
    try:
        fields = ast.literal_eval(text.strip())
    except SyntaxError:
        # Python 2 wrote numbers as 10L
        fields = ast.literal_eval(re.sub(r"([0-9])L\b", r"\1", text.strip()))
    shape, fortran_order = fields["shape"], fields["fortran_order"]
    if type(shape) is not tuple or not all(type(n) is int and n >= 0 for n in shape):
        raise ValueError("shape is no tuple of counts")
    if type(fortran_order) is not bool:
        raise ValueError("fortran_order is neither True nor False")
    return _dtype(fields["descr"]), shape, fortran_order


def _dtype(descr: object) -> np.dtype[Any]:
    if isinstance(descr, str):
        if descr.endswith("O"):
            return np.dtype(object)
        if not _SCALAR.fullmatch(descr):
            raise ValueError(f"type {descr!r}")
        return np.dtype(descr)
    if not isinstance(descr, list) or not 1 <= len(descr) <= 100:
        raise ValueError(f"type {descr!r}")
    names, formats, offsets, size = [], [], [], 0
    for field in descr:
        name, kind = field
        if not isinstance(name, str) or not isinstance(kind, str):
            raise ValueError(f"field {field!r}")
        if _SCALAR.fullmatch(kind) and name:
            names.append(name)
            formats.append(kind)
            offsets.append(size)
        elif not _SKIPPED.fullmatch(kind):
            raise ValueError(f"field {field!r}")
        size += np.dtype(kind).itemsize
    return np.dtype({"names": names, "formats": formats, "offsets": offsets, "itemsize": size})


def array_of(path: PathLike, header: ArrayHeader, data: bytes, what: str = "") -> NDArray[Any]:
    """The array that ``data``, header included, holds; read-only and without a copy.

    Raises:
        FormatError: Python objects, or another number of bytes than the header asks for.
    """
    offset = None if what else header.start
    if header.dtype.hasobject:
        raise FormatError(path, f"{what}expected numbers, got Python objects", offset)
    if len(data) != header.end or header.dtype.itemsize == 0:
        raise FormatError(
            path,
            f"{what}expected {header.end - header.start} bytes for shape {list(header.shape)} of "
            f"{header.dtype}, got {len(data) - header.start}",
            offset,
        )
    try:
        flat = np.frombuffer(data, header.dtype, header.count, header.start)
        return flat.reshape(header.shape, order="F" if header.fortran_order else "C")
    except ValueError as error:
        raise FormatError(path, f"{what}{error}", offset) from error


def read_npz_arrays(path: PathLike, names: Iterable[str]) -> dict[str, NDArray[Any]]:
    """The arrays ``names`` of a ``.npz`` file.

    Raises:
        FormatError: no zip archive, a missing array, or one that breaks the rules of ``.npy``.
    """
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        try:
            with zipfile.ZipFile(file) as archive:
                return {name: _member(path, archive, name, size) for name in names}
        except FormatError:
            raise
        except _BROKEN_ZIP as error:
            raise FormatError(path, f"expected a whole .npz archive ({error})") from error


def _member(path: PathLike, archive: zipfile.ZipFile, name: str, size: int) -> NDArray[Any]:
    what = f"array {name!r}: "
    try:
        info = archive.getinfo(f"{name}.npy")
    except KeyError:
        found = ", ".join(sorted(archive.namelist())[:20]) or "nothing"
        raise FormatError(path, f"expected an array {name!r}, the archive has {found}") from None
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) or info.flag_bits & 1:
        raise FormatError(path, f"{what}expected a stored or deflated member without password")
    if info.compress_size > size or info.file_size > _MOST_DEFLATED * info.compress_size + 64:
        raise FormatError(
            path, f"{what}{info.compress_size} of {size} bytes cannot hold {info.file_size}"
        )
    with archive.open(info) as member:
        head = member.read(_HEAD)
        header = array_header(path, head, what)
        if not header.dtype.hasobject and header.end != info.file_size:
            raise FormatError(
                path,
                f"{what}expected {header.end} bytes for shape {list(header.shape)} of "
                f"{header.dtype}, the archive has {info.file_size}",
            )
        return array_of(path, header, head + member.read(), what)
