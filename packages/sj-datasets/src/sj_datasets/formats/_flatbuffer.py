"""The few parts of the FlatBuffers encoding that AEDAT 4 needs, every access checked.

A table starts with the distance to its vtable, which lists where each field lies in the table
(0: absent).  Strings, vectors and tables in tables are reached by a uint32 distance.  All
numbers are little endian; a buffer starts with the distance to its root table.
"""

from __future__ import annotations

import struct
from typing import Any, NamedTuple, NoReturn

import numpy as np
from numpy.typing import NDArray

__all__ = ["MalformedBuffer", "Table", "root_table"]


class MalformedBuffer(ValueError):
    """A distance or length points outside the buffer."""


class Table(NamedTuple):
    """A table at byte ``position`` of ``buffer``."""

    buffer: bytes
    position: int

    def scalar(self, field: int, code: str, default: int) -> int:
        """The number in slot ``field``, of the `struct` type ``code``."""
        at = self._field(field)
        return default if at is None else _number(self.buffer, at, code)

    def text(self, field: int) -> str:
        """The string in slot ``field``, or ``""``."""
        at = self._field(field)
        if at is None:
            return ""
        start, count = self._vector(at, 1)
        return self.buffer[start : start + count].decode("utf-8", "replace")

    def structs(self, field: int, dtype: np.dtype[Any]) -> NDArray[Any]:
        """The vector of structs in slot ``field``, without a copy."""
        at = self._field(field)
        if at is None:
            return np.empty(0, dtype)
        start, count = self._vector(at, dtype.itemsize)
        return np.frombuffer(self.buffer, dtype, count, start)

    def _field(self, field: int) -> int | None:
        vtable = self.position - _number(self.buffer, self.position, "<i")
        entry = 4 + 2 * field
        if entry >= _number(self.buffer, vtable, "<H"):
            return None
        distance = _number(self.buffer, vtable + entry, "<H")
        return self.position + distance if distance else None

    def _vector(self, at: int, itemsize: int) -> tuple[int, int]:
        start = at + _number(self.buffer, at, "<I")
        count = _number(self.buffer, start, "<I")
        if start + 4 + count * itemsize > len(self.buffer):
            _refuse(f"a vector of {count} items at byte {start} ends outside")
        return start + 4, count


def root_table(buffer: bytes, identifier: bytes) -> Table:
    """The root of a buffer that is marked with ``identifier``.

    Raises:
        MalformedBuffer: another identifier, or a distance that leads outside.
    """
    position = _number(buffer, 0, "<I")
    if buffer[4:8] != identifier:
        _refuse(f"it is marked {buffer[4:8]!r}, not {identifier!r}")
    _number(buffer, position, "<i")
    return Table(buffer, position)


def _number(buffer: bytes, at: int, code: str) -> int:
    if at < 0 or at + struct.calcsize(code) > len(buffer):
        _refuse(f"a reference leads to byte {at} of {len(buffer)}")
    return struct.unpack_from(code, buffer, at)[0]


def _refuse(message: str) -> NoReturn:
    raise MalformedBuffer(message)
