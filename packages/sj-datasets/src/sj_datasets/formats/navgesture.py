"""NavGesture ``td.dat``: recordings of a 240 x 304 sensor in 64-bit words.

    % lines       header; without one there are no type and size bytes either
    type, size    one byte each: 0 or 12, 8
    words         little-endian: t bits 0-31 in us, x bits 32-40, y bits 41-48, p bit 49

Rows count from the bottom: y = 239 - y_raw.
"""

from __future__ import annotations

import os

import numpy as np

from ..events import EventColumns, Events
from ._binary import as_events, check_field, decoded_events, read_file, records, write_file
from ._prophesee import check_inside, has_header, header_fields
from .prophesee_dat import check_type

__all__ = ["read_navgesture", "write_navgesture"]

_HEIGHT, _WIDTH = 240, 304


def read_navgesture(
    path: str | os.PathLike[str],
    *,
    upright: bool = True,
    from_zero: bool = True,
    drop_backward: bool = True,
    strict: bool = True,
) -> Events:
    """Events of a NavGesture recording.

    Args:
        path: the recording.
        upright: turn rows so that row 0 is at the top; ``False`` keeps y as stored.
        from_zero: shift t so that the first event has t = 0.
        drop_backward: leave out events earlier than one before them.
        strict: refuse a file that ends inside a word; ``False`` drops the incomplete one.

    Raises:
        FileNotFoundError: no such file.
        FormatError: broken header, another event type than 0 and 12, an incomplete word, or an
            event outside the sensor.
    """
    data = read_file(path)
    start = 0
    if has_header(data):
        _, start = header_fields(path, data, required=True)
        check_type(path, data, start)
        start += 2
    words = records(path, data, start, "<u8", strict=strict)
    t = (words & 0xFFFFFFFF).astype(np.int64)
    x, y = words >> 32 & 0x1FF, words >> 41 & 0xFF
    check_inside(path, x, y, (_HEIGHT, _WIDTH), lambda index: start + 8 * index)
    p = words >> 49 & 1
    if drop_backward:
        kept = t >= np.maximum.accumulate(t)
        t, x, y, p = t[kept], x[kept], y[kept], p[kept]
    if from_zero and len(t):
        t -= t[0]
    return decoded_events(t, x, _HEIGHT - 1 - y if upright else y, p, (_HEIGHT, _WIDTH))


def write_navgesture(
    path: str | os.PathLike[str], events: EventColumns, *, upright: bool = True
) -> None:
    """Write a recording with header; ``path`` is replaced at the end.

    Args:
        path: the recording to write.
        events: t in 0..2^32-1, x below 304, y below 240.
        upright: whether row 0 of ``events`` is at the top, as the reader's option.

    Raises:
        ValueError: a value that the format cannot hold.
        OSError: the folder is missing or not writable.
    """
    events = as_events(events)
    check_field("t", events["t"], 0, 2**32 - 1, "a NavGesture recording")
    check_field("x", events["x"], 0, _WIDTH - 1, "a NavGesture recording")
    check_field("y", events["y"], 0, _HEIGHT - 1, "a NavGesture recording")
    y = events["y"].astype("<u8")
    if upright:
        y = _HEIGHT - 1 - y
    words = events["t"].astype("<u8") | events["x"].astype("<u8") << 32 | y << 41
    words |= events["p"].astype("<u8") << 49
    header = b"% Data file containing TD events.\n% Version 1\n"
    write_file(path, [header, bytes((0, 8)), words])
