"""Prophesee DAT: contrast events in 8-byte records after a text header.

% lines            header; without one there are no type and size bytes either
type, size         one byte each: 12 (contrast detection) or 0 (older files), 8
records            uint32 t in us; uint32 with x bits 0-13, y bits 14-27, p bits 28-31
"""

from __future__ import annotations

import os

import numpy as np
from numpy.typing import NDArray

from ..errors import FormatError
from ..events import EVENT_DTYPE, EventColumns, Events
from ._binary import as_events, check_field, read_file, records, write_file
from ._prophesee import check_inside, has_header, header_fields, sensor_size

__all__ = ["read_prophesee_dat", "write_prophesee_dat"]

_RECORD = np.dtype([("t", "<u4"), ("word", "<u4")])
_CHUNK = 1 << 16  # records decoded together: their columns stay in the processor's cache
_CONTRAST, _CONTRAST_OLD = 12, 0
_OTHER_TYPES = {
    1: "stereo events",
    2: "gray-level events",
    3: "tracking boxes",
    7: "optical flow",
    10: "inertial measurements",
    14: "external triggers",
}


def read_prophesee_dat(path: str | os.PathLike[str], *, strict: bool = True) -> Events:
    """Events of a DAT file, in file order; the sensor size comes from the header if it is there.

    Args:
        path: the recording.
        strict: refuse a file that ends inside a record; ``False`` drops the incomplete one.

    Raises:
        FileNotFoundError: no such file.
        FormatError: broken header, another event type than 12 and 0, an incomplete record, an
            event outside the sensor or with another polarity than 0 and 1.
    """
    data = read_file(path)
    fields, start = header_fields(path, data, required=True) if has_header(data) else ({}, 0)
    size = sensor_size(path, fields)
    if start:
        check_type(path, data, start)
        start += 2
    table = records(path, data, start, _RECORD, strict=strict)
    array = np.empty(len(table), EVENT_DTYPE)
    for first in range(0, len(table), _CHUNK):
        offset = start + first * _RECORD.itemsize
        _decode(path, table[first : first + _CHUNK], array[first : first + _CHUNK], offset, size)
    return Events(array, size)


def _decode(
    path: str | os.PathLike[str],
    table: NDArray[np.void],
    events: NDArray[np.void],
    offset: int,
    size: tuple[int, int] | None,
) -> None:
    """Fill ``events`` from as many records, the first of which lies at ``offset``."""
    word = table["word"]
    p = word >> 28
    if p.max() > 1:
        index = int(np.argmax(p > 1))
        raise FormatError(
            path,
            f"expected a polarity of 0 or 1, got {p[index]}",
            offset + index * _RECORD.itemsize,
        )
    x, y = word & 0x3FFF, word >> 14 & 0x3FFF
    if size is not None:
        check_inside(path, x, y, size, lambda index: offset + index * _RECORD.itemsize)
    events["t"], events["x"], events["y"], events["p"] = table["t"], x, y, p


def check_type(path: str | os.PathLike[str], data: bytes, offset: int) -> None:
    """Refuse type and size bytes at ``offset`` that announce no contrast events.

    Raises:
        FormatError: naming the type found.
    """
    if len(data) < offset + 2:
        raise FormatError(path, "expected event type and event size after the header", offset)
    kind, size = data[offset : offset + 2]
    if kind not in (_CONTRAST, _CONTRAST_OLD):
        name = _OTHER_TYPES.get(kind, "unknown")
        raise FormatError(
            path, f"expected contrast events (type 12 or 0), got type {kind} ({name})", offset
        )
    if size != _RECORD.itemsize:
        raise FormatError(path, f"expected events of 8 bytes, got {size}", offset + 1)


def write_prophesee_dat(path: str | os.PathLike[str], events: EventColumns) -> None:
    """Write a DAT file of version 2; ``path`` is replaced at the end.

    Raises:
        ValueError: t outside 0..2^32-1, or x or y above 16383.
        OSError: the folder is missing or not writable.
    """
    events = as_events(events)
    check_field("t", events["t"], 0, 2**32 - 1, "a DAT file")
    for name in ("x", "y"):
        check_field(name, events[name], 0, 2**14 - 1, "a DAT file")
    header = "% Data file containing CD events.\n% Version 2\n"
    if events.sensor_size is not None:
        header += "% Height {}\n% Width {}\n".format(*events.sensor_size)
    table = np.empty(events.count, _RECORD)
    table["t"] = events["t"]
    table["word"] = events["p"].astype("<u4") << 28 | events["y"].astype("<u4") << 14 | events["x"]
    write_file(path, [header.encode(), bytes((_CONTRAST, _RECORD.itemsize)), table])
