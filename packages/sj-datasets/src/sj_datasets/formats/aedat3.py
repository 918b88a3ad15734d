"""AEDAT 3.1 recordings of cAER, `.aedat`: DVS128 Gesture and others.

Header lines that start with `#` up to `#!END-HEADER`, then packets, all little endian:

    28 bytes   uint16 type, uint16 source, uint32 eventSize, tsOffset, tsOverflow, capacity,
               number, valid
    body       capacity slots of eventSize bytes, of which the first `number` are used

A polarity packet (type 1) holds in each slot a word (bit 0: valid, bit 1: p, bits 2-16: y,
bits 17-31: x) and at byte tsOffset the 31 low bits of the time in microseconds;
t = low | tsOverflow << 31.  Other packets are skipped.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from io import FileIO
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import FormatError
from ..events import EVENT_DTYPE, EventColumns, Events
from ._aedat3_packets import HEADER, POLARITY, SLOT, TIME_AT, PacketReader
from ._binary import as_events, check_field, header_lines, open_recording, trimmed, write_file

__all__ = ["load_aedat_v3", "read_aedat3", "write_aedat3"]

_VERSION = "!AER-DAT3.1"
_END = "!END-HEADER"
_LARGEST_XY = (1 << 15) - 1
_LONGEST_HEADER = 1 << 16
_SIZES = {
    "DVS128": (128, 128),
    "DAVIS240A": (180, 240),
    "DAVIS240B": (180, 240),
    "DAVIS240C": (180, 240),
    "DAVIS346": (260, 346),
    "DAVIS640": (480, 640),
}


class _Columns(NamedTuple):
    """Where t, x, y, p of N events are put; each ``[N]``."""

    t: NDArray[np.int64]
    x: NDArray[np.uint16]
    y: NDArray[np.uint16]
    p: NDArray[np.uint8]

    def part(self, which: slice | NDArray[np.bool_]) -> _Columns:
        return _Columns(self.t[which], self.x[which], self.y[which], self.p[which])


def read_aedat3(path: str | os.PathLike[str], *, strict: bool = True) -> Events:
    """Valid polarity events of an AEDAT 3.1 recording, in the order of the file.

    Args:
        path: the file.
        strict: refuse a truncated last packet; ``False`` keeps its whole events.

    Raises:
        FileNotFoundError: no such file.
        FormatError: another version, no end of header, compressed or truncated packets, a header
            that contradicts itself, or an event outside the sensor that the file names.
    """
    with open_recording(path) as file:
        start, size = _start(path, file)
        array = np.empty(_most_events(file, start), EVENT_DTYPE)
        columns = _Columns(array["t"], array["x"], array["y"], array["p"])
        count = _decode(path, PacketReader(path, file, start, strict), columns, size)
    events = Events(trimmed(array, count))
    events.sensor_size = size  # every event has been checked
    return events


def load_aedat_v3(file_name: str | os.PathLike[str]) -> dict[str, NDArray[Any]]:
    """Columns t, x, y, p of the valid polarity events of an AEDAT 3.1 recording."""
    with open_recording(file_name) as file:
        start, size = _start(file_name, file)
        columns = _columns(_most_events(file, start))
        packets = PacketReader(file_name, file, start, strict=True)
        count = _decode(file_name, packets, columns, size)
    return {name: trimmed(column, count) for name, column in columns._asdict().items()}


def write_aedat3(
    path: str | os.PathLike[str], events: EventColumns, *, capacity: int = 4096
) -> None:
    """Write an AEDAT 3.1 recording.

    The header names the sensor if ``events.sensor_size`` is that of a known one.

    Args:
        path: the file.
        events: the events.
        capacity: most events of a packet.

    Raises:
        ValueError: x or y above 32767, a negative t, or a capacity below 1.
    """
    if capacity < 1:
        raise ValueError(f"capacity must be at least 1 event, got {capacity}")
    events = as_events(events)
    check_field("x", events["x"], 0, _LARGEST_XY, "AEDAT 3.1")
    check_field("y", events["y"], 0, _LARGEST_XY, "AEDAT 3.1")
    check_field("t", events["t"], 0, (1 << 63) - 1, "AEDAT 3.1")
    sensor = next((k for k, v in _SIZES.items() if v == events.sensor_size), "unknown")
    header = f"#{_VERSION}\r\n#Format: RAW\r\n#Source 1: {sensor}\r\n#{_END}\r\n"
    write_file(path, [header.encode(), *_packed(events, capacity)])


def _packed(events: Events, capacity: int) -> Iterator[bytes | NDArray[np.uint32]]:
    x, y, p = (events[field].astype(np.uint32) for field in "xyp")
    slots = np.empty((events.count, 2), "<u4")
    slots[:, 0] = x << 17 | y << 2 | p << 1 | 1
    slots[:, 1] = events["t"] & 0x7FFFFFFF
    overflow = events["t"] >> 31
    changes = np.flatnonzero(np.diff(overflow)) + 1
    for first, last in zip([0, *changes.tolist()], [*changes.tolist(), events.count], strict=True):
        for start in range(first, last, capacity):
            number = min(capacity, last - start)
            counts = (number, number, number)
            yield HEADER.pack(POLARITY, 1, SLOT, TIME_AT, int(overflow[start]), *counts)
            yield slots[start : start + number]


def _start(path: str | os.PathLike[str], file: FileIO) -> tuple[int, tuple[int, int] | None]:
    """Where the packets start, and the rows and columns of the sensor."""
    lines, start = header_lines(file.read(_LONGEST_HEADER), b"#", _END)
    _check_header(path, lines, start)
    return start, _sensor_size(lines)


def _most_events(file: FileIO, start: int) -> int:
    """More events than can be in the file; memory that is not written to costs nothing."""
    return (os.fstat(file.fileno()).st_size - start) // SLOT


def _check_header(path: str | os.PathLike[str], lines: list[str], end: int) -> None:
    if not lines or lines[0] != _VERSION:
        found = f"'#{lines[0]}'" if lines else "no header"
        raise FormatError(path, f"expected '#{_VERSION}' in the first line, found {found}", 0)
    if lines[-1] != _END:
        raise FormatError(path, f"expected the line '#{_END}' at the end of the header", end)
    for line in lines:
        name, _, value = line.partition(":")
        if name == "Format" and value.strip() != "RAW":
            raise FormatError(
                path, f"expected packets in format RAW, found {value.strip()!r}; convert the file"
            )


def _sensor_size(lines: list[str]) -> tuple[int, int] | None:
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("Source ")]
    return _SIZES.get(names[0]) if len(names) == 1 else None


def _decode(
    path: str | os.PathLike[str],
    packets: PacketReader,
    columns: _Columns,
    size: tuple[int, int] | None,
) -> int:
    """Fill ``columns`` with the valid events; returns their number."""
    word = np.empty(packets.most, "<u4")
    # columns of their own are filled in place, fields of records by a copy from the cache
    in_place = columns.t.flags.c_contiguous
    space = columns if in_place else _columns(len(word))
    count = 0
    while not packets.ended:
        start, found = count if in_place else 0, 0
        for slots, overflow in packets.read():
            here = slice(found, found + slots.size)
            t = space.t[start:][here].view(np.uint64).reshape(slots.shape)
            _times(slots, overflow, t)
            word[here].reshape(slots.shape)[...] = slots
            found = here.stop
        part = space.part(slice(start, start + found))
        valid, most = _fields(word[:found], part)
        if size is not None and (most[0] >= size[0] or most[1] >= size[1]):
            _check_inside(path, part, valid, size, packets.offset)
        if valid is not None:
            part = part.part(valid)
        stop = count + len(part.t)
        if not in_place or valid is not None:
            for column, values in zip(columns, part, strict=True):
                column[count:stop] = values
        count = stop
    return count


def _columns(n: int) -> _Columns:
    """Columns for n events, in one piece of memory, since many small ones cost more page faults."""
    t, x, y, p = np.split(np.empty(13 * n, np.uint8), [8 * n, 10 * n, 12 * n])
    return _Columns(t.view(np.int64), x.view(np.uint16), y.view(np.uint16), p)


def _times(slots: NDArray[np.uint64], overflow: int, t: NDArray[np.uint64]) -> None:
    """Fill ``t`` from the upper halves of the slots."""
    if slots.flags.aligned:
        np.right_shift(slots, 32, out=t)
    else:
        t[...] = slots.view("<u4")[:, 1::2]
    if overflow:
        t |= np.uint64(overflow << 31)


def _fields(
    word: NDArray[np.uint32], columns: _Columns
) -> tuple[NDArray[np.bool_] | None, tuple[int, int]]:
    """Fill x, y and p from all words.

    Casts drop the upper bits, and cost less than shifts of wider numbers or steps over them.

    Returns:
        Which are valid if not all are; numbers that y and x do not exceed.
    """
    _, x, y, p = columns
    ever = int(np.bitwise_or.reduce(word))
    y[:] = word
    p[:] = y
    valid = None if np.bitwise_and.reduce(y) & 1 else (y & 1).astype(bool)
    np.right_shift(p, 1, out=p)
    np.bitwise_and(p, 1, out=p)
    np.right_shift(y, 2, out=y)
    if ever & 1 << 16:
        y |= (word >> 2).astype(np.uint16) & 1 << 14
    np.right_shift(word, 17, out=word)
    x[:] = word
    return valid, (ever >> 2 & _LARGEST_XY, ever >> 17)


def _check_inside(
    path: str | os.PathLike[str],
    columns: _Columns,
    valid: NDArray[np.bool_] | None,
    size: tuple[int, int],
    end: int,
) -> None:
    x, y = (c if valid is None else c[valid] for c in (columns.x, columns.y))
    if len(x) and (x.max() >= size[1] or y.max() >= size[0]):
        raise FormatError(
            path,
            f"expected events within the {size[0]} rows and {size[1]} columns of the sensor "
            f"that the header names, found y up to {y.max()}, x up to {x.max()} before",
            end,
        )
