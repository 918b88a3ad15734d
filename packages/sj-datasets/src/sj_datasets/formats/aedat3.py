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
import struct
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import FormatError
from ..events import EventColumns, Events
from ._binary import (
    as_events,
    check_field,
    decoded_events,
    header_lines,
    read_file,
    write_file,
)

__all__ = ["load_aedat_v3", "read_aedat3", "write_aedat3"]

_VERSION = "!AER-DAT3.1"
_END = "!END-HEADER"
_HEADER = struct.Struct("<HHIIIIII")
_POLARITY = 1
_COMPRESSED = 0x8000
_SLOT = 8
_TIME_AT = 4
_LARGEST_XY = (1 << 15) - 1
_SIZES = {
    "DVS128": (128, 128),
    "DAVIS240A": (180, 240),
    "DAVIS240B": (180, 240),
    "DAVIS240C": (180, 240),
    "DAVIS346": (260, 346),
    "DAVIS640": (480, 640),
}


class _Packet(NamedTuple):
    """A polarity packet: where its slots start, and what its header says of them."""

    body: int
    slot: int
    time_at: int
    overflow: int
    number: int


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
    data = read_file(path)
    lines, start = header_lines(data, b"#", _END)
    _check_header(path, lines, start)
    packets = list(_polarity_packets(path, data, start, strict))
    words, t = _joined(data, packets)
    x, y = words >> 17, words >> 2 & _LARGEST_XY
    size = _sensor_size(lines)
    if size is not None and len(words) and (x.max() >= size[1] or y.max() >= size[0]):
        raise FormatError(
            path,
            f"expected events within the {size[0]} rows and {size[1]} columns of the sensor that "
            f"the header names, found y up to {y.max()}, x up to {x.max()}",
            start,
        )
    return decoded_events(t, x, y, words >> 1 & 1, size)


def load_aedat_v3(file_name: str | os.PathLike[str]) -> dict[str, NDArray[Any]]:
    """Columns t, x, y, p of the valid polarity events of an AEDAT 3.1 recording."""
    return read_aedat3(file_name).columns()


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
            yield _HEADER.pack(_POLARITY, 1, _SLOT, _TIME_AT, int(overflow[start]), *counts)
            yield slots[start : start + number]


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


def _polarity_packets(
    path: str | os.PathLike[str], data: bytes, offset: int, strict: bool
) -> Iterator[_Packet]:
    end = len(data)
    while offset < end:
        body = offset + _HEADER.size
        if body > end:
            if strict:
                raise FormatError(
                    path, f"expected a packet header of 28 bytes, {end - offset} are left", offset
                )
            return
        kind, _, slot, time_at, overflow, capacity, number, _ = _HEADER.unpack_from(data, offset)
        if kind & _COMPRESSED:
            raise FormatError(path, "expected a plain packet, found a compressed one", offset)
        following = body + slot * capacity
        if following > end:
            if strict:
                raise FormatError(
                    path,
                    f"expected a packet of {capacity} slots of {slot} bytes, but the file ends "
                    f"after {end - body} bytes; it is truncated or corrupt",
                    offset,
                )
            number = min(number, (end - body) // max(slot, 1))
        if kind == _POLARITY and number:
            if number > capacity or slot < _SLOT or not _TIME_AT <= time_at <= slot - 4:
                raise FormatError(
                    path,
                    f"a polarity packet says {number} events in {capacity} slots of {slot} bytes "
                    f"with the time at byte {time_at}, which cannot be",
                    offset,
                )
            yield _Packet(body, slot, time_at, overflow, number)
        offset = following


def _joined(
    data: bytes, packets: list[_Packet]
) -> tuple[NDArray[np.uint32], NDArray[np.int64] | NDArray[np.uint32]]:
    """Words and times of all valid events."""
    view = memoryview(data)
    bodies = (
        view[body : body + _SLOT * number]
        if (slot, time_at) == (_SLOT, _TIME_AT)
        else _narrowed(data, body, slot, time_at, number)
        for body, slot, time_at, _, number in packets
    )
    slots = np.frombuffer(b"".join(bodies), "<u4").reshape(-1, 2)
    words, t = slots[:, 0], slots[:, 1]
    overflow = np.array([packet.overflow for packet in packets], np.int64)
    if overflow.any():
        t = np.repeat(overflow << 31, [packet.number for packet in packets]) | t
    if len(words) and not np.bitwise_and.reduce(words) & 1:
        valid = (words & 1).astype(bool)
        words, t = words[valid], t[valid]
    return words, t


def _narrowed(data: bytes, body: int, slot: int, time_at: int, number: int) -> bytes:
    """The word and the time of each slot, without what else the slots hold."""
    fields = {"names": ["word", "t"], "formats": ["<u4", "<u4"], "offsets": [0, time_at]}
    wide = np.frombuffer(data, np.dtype({**fields, "itemsize": slot}), number, body)
    return np.stack([wide["word"], wide["t"]], axis=1).tobytes()
