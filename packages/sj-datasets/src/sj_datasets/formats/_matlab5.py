"""MATLAB 5 files: arrays of numbers by name.

    128 bytes   text; at 124 the version 0x0100, at 126 "IM" (little-endian) or "MI"
    elements    uint32 type, uint32 size, content, padded to 8 bytes; a size of 1..4 may sit in
                the upper half of the type word, with the content in the next 4 bytes
    type 15     zlib data of one element, not padded
    type 14     array, itself of elements: flags and class, dimensions, name, values

SciPy reads such files as well, but damaged ones crash the interpreter there.
"""

from __future__ import annotations

import math
import os
import struct
import zlib
from collections.abc import Collection, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import FormatError

__all__ = ["is_matlab5", "matlab5_bytes", "read_matlab5"]

_HEADER = 128
_ARRAY, _COMPRESSED = 14, 15
_NUMBERS = {
    1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"
}  # fmt: skip
_CODES = {np.dtype(name): code for code, name in _NUMBERS.items()}
_CLASSES = {
    np.dtype(name): code
    for code, name in enumerate(("f8", "f4", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8"), 6)
}
_COMPLEX = 1 << 11
_MOST_DEFLATED = 1032  # bytes that deflate can pack into one


class _Element(NamedTuple):
    """Type and content of an element, and the byte at which it begins."""

    kind: int
    content: bytes
    offset: int


def is_matlab5(data: bytes) -> bool:
    """Whether ``data`` begins with the header of a MATLAB 5 file."""
    return len(data) >= _HEADER and data[124:128] in (b"\x00\x01IM", b"\x01\x00MI")


def read_matlab5(
    path: str | os.PathLike[str], data: bytes, names: Collection[str]
) -> dict[str, NDArray[Any]]:
    """Those of the arrays ``names`` that the file holds, if they are arrays of real numbers.

    Raises:
        FormatError: an element that leaves the file or does not hold what it announces.
    """
    order = "<" if data[126:128] == b"IM" else ">"
    found: dict[str, NDArray[Any]] = {}
    offset = _HEADER
    try:
        for element in _elements(data, _HEADER, order):
            offset = element.offset
            if element.kind == _COMPRESSED:
                (element,) = _elements(_inflate(element.content), 0, order)
            if element.kind == _ARRAY:
                found |= _array(element.content, order, names)
    except (ValueError, zlib.error) as error:
        raise FormatError(path, f"expected whole variables ({error})", offset) from error
    return found


def _elements(data: bytes, offset: int, order: str) -> Iterator[_Element]:
    while offset < len(data):
        if offset + 8 > len(data):
            raise ValueError(f"{len(data) - offset} bytes are no element")
        kind, size = struct.unpack_from(f"{order}II", data, offset)
        begin = offset + 8
        following = begin + size + (0 if kind == _COMPRESSED else -size % 8)
        if kind >> 16:
            kind, size = kind & 0xFFFF, kind >> 16
            begin, following = offset + 4, offset + 8
            if size > 4:
                raise ValueError(f"a short element of {size} bytes")
        if begin + size > len(data):
            raise ValueError(f"{size} bytes of type {kind} leave the file")
        yield _Element(kind, data[begin : begin + size], offset)
        offset = following


def _inflate(packed: bytes) -> bytes:
    stream = zlib.decompressobj()
    content = stream.decompress(packed, _MOST_DEFLATED * len(packed) + 64)
    if not stream.eof or stream.unused_data:
        raise ValueError("compressed data end too early or too late")
    return content


def _array(content: bytes, order: str, names: Collection[str]) -> Mapping[str, NDArray[Any]]:
    """The array by its name; nothing where it is none of ``names`` or holds no real numbers."""
    parts = _elements(content, 0, order)
    flags, dimensions, label = next(parts, None), next(parts, None), next(parts, None)
    if flags is None or dimensions is None or label is None:
        raise ValueError("a variable without flags, dimensions and name")
    name = label.content.decode("latin-1")
    if name not in names or len(flags.content) != 8:
        return {}
    (kind,) = struct.unpack_from(f"{order}I", flags.content)
    if kind & 0xFF not in _CLASSES.values() or kind & _COMPLEX:
        return {}
    if dimensions.kind != 5 or len(dimensions.content) % 4 or not dimensions.content:
        raise ValueError(f"dimensions of {name!r}")
    shape = tuple(np.frombuffer(dimensions.content, f"{order}i4").tolist())
    values = next(parts, None)
    if values is None or values.kind not in _NUMBERS or min(shape) < 0:
        raise ValueError(f"{name!r} of shape {list(shape)} without numbers")
    flat = np.frombuffer(values.content, order + _NUMBERS[values.kind])
    if len(flat) != math.prod(shape):
        raise ValueError(f"{name!r} of shape {list(shape)} with {len(flat)} numbers")
    return {name: flat.reshape(shape, order="F")}


def matlab5_bytes(variables: Mapping[str, NDArray[Any]]) -> bytes:
    """A little-endian MATLAB 5 file of arrays of numbers, each with two or more dimensions."""
    text = b"MATLAB 5.0 MAT-file, written by sj-datasets".ljust(124)
    return text + b"\x00\x01IM" + b"".join(map(_variable, variables, variables.values()))


def _variable(name: str, array: NDArray[Any]) -> bytes:
    shape = np.array(array.shape, "<i4")
    values = array.astype(array.dtype.newbyteorder("<"), order="F")
    content = b"".join(
        (
            _packed(6, struct.pack("<II", _CLASSES[array.dtype], 0)),
            _packed(5, shape.tobytes()),
            _packed(1, name.encode("ascii")),
            _packed(_CODES[array.dtype], values.tobytes(order="F")),
        )
    )
    return _packed(_ARRAY, content)


def _packed(kind: int, content: bytes) -> bytes:
    if len(content) >= 1 << 32:
        raise ValueError("a variable of a MATLAB 5 file holds less than 4 GiB")
    return struct.pack("<II", kind, len(content)) + content + b"\0" * (-len(content) % 8)
