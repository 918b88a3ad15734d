"""Prophesee EVT 2.0: 32-bit little-endian words after a text header.

    bits 31-28   0, 1   event of polarity 0 or 1: t bits 5-0 in bits 27-22, x 21-11, y 10-0
                 8      time high: t bits 33-6 in bits 27-0; wraps after 2^34 us
                 other  triggers and further words, skipped

Events before the first time-high word have no known time and are left out.
"""

from __future__ import annotations

import os

import numpy as np
from numpy.typing import NDArray

from ..events import EVENT_DTYPE, EventColumns, Events
from ._binary import as_events, check_field, read_file, records, write_file
from ._prophesee import (
    check_inside,
    check_version,
    header_fields,
    intervals,
    sensor_size,
    unwrap,
)

__all__ = ["read_evt2", "write_evt2"]

_TIME_HIGH = 8
_HIGH_BITS = 28
_CHUNK = 1 << 16  # words decoded together: their columns stay in the processor's cache
_LATEST = 2**40


def read_evt2(path: str | os.PathLike[str], *, strict: bool = True) -> Events:
    """Events of an EVT 2.0 file, in file order; the sensor size comes from the header.

    Args:
        path: the recording.
        strict: refuse a file that ends inside a word; ``False`` drops the incomplete one.

    Raises:
        FileNotFoundError: no such file.
        FormatError: broken header, another version (EVT 2.1 among them), an incomplete word, or
            an event outside the sensor.
    """
    data = read_file(path)
    fields, start = header_fields(path, data)
    check_version(path, fields, "2.0")
    size = sensor_size(path, fields)
    words = records(path, data, start, "<u4", strict=strict)
    high, parts = -1, [np.empty(0, EVENT_DTYPE)]
    for first in range(0, len(words), _CHUNK):
        events, at, high = _decode(words[first : first + _CHUNK], high)
        if size is not None:
            offset = start + 4 * first
            check_inside(
                path, events["x"], events["y"], size, lambda i, o=offset, a=at: o + 4 * int(a[i])
            )
        parts.append(events)
    return Events(np.concatenate(parts), size)


def _decode(words: NDArray[np.uint32], high: int) -> tuple[NDArray[np.void], NDArray[np.intp], int]:
    """Events of some words, the word of each, and the last time-high, unwrapped."""
    kind = (words >> 28).astype(np.uint8)
    is_time = kind == _TIME_HIGH
    low_bits = (words.compress(is_time) & ((1 << _HIGH_BITS) - 1)).astype(np.int64)
    highs = np.concatenate([[high], unwrap(low_bits, high, _HIGH_BITS)])
    at = np.flatnonzero(kind <= 1)
    time_high = highs.take(np.cumsum(is_time).take(at))
    if high < 0:
        known = time_high >= 0
        at, time_high = at[known], time_high[known]
    word = words.take(at)
    events = np.empty(len(at), EVENT_DTYPE)
    events["t"] = time_high << 6 | word >> 22 & 0x3F
    events["x"] = word >> 11 & 0x7FF
    events["y"] = word & 0x7FF
    events["p"] = kind.take(at)
    return events, at, int(highs[-1])


def write_evt2(path: str | os.PathLike[str], events: EventColumns) -> None:
    """Write an EVT 2.0 file; ``path`` is replaced at the end.

    Raises:
        ValueError: t outside 0..2^40-1, x or y above 2047, or a step back in time of hours.
        OSError: the folder is missing or not writable.
    """
    events = as_events(events)
    check_field("t", events["t"], 0, _LATEST - 1, "an EVT 2.0 file")
    for name in ("x", "y"):
        check_field(name, events[name], 0, 2047, "an EVT 2.0 file")
    event, high, last = intervals(events["t"] >> 6, _HIGH_BITS, "an EVT 2.0 file")
    words = np.zeros((len(event), 2), "<u4")
    words[:, 0] = _TIME_HIGH << 28 | high & ((1 << _HIGH_BITS) - 1)
    words[last, 1] = (
        events["p"].astype("<u4") << 28
        | (events["t"] & 0x3F).astype("<u4") << 22
        | events["x"].astype("<u4") << 11
        | events["y"]
    )
    kept = np.stack([np.diff(high, prepend=-1) != 0, last], axis=1)
    write_file(path, [evt_header("2.0", events.sensor_size), words[kept]])


def evt_header(version: str, size: tuple[int, int] | None) -> bytes:
    """The text header of an EVT file of ``version`` for a sensor of ``size`` (rows, columns)."""
    short = version.removesuffix(".0")
    lines = [f"evt {version}", f"format EVT{short}"]
    if size is not None:
        lines[1] += f";height={size[0]};width={size[1]}"
        lines.append(f"geometry {size[1]}x{size[0]}")
    return "".join(f"% {line}\n" for line in [*lines, "end"]).encode()
