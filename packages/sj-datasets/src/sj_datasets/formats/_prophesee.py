"""What Prophesee's formats share: text header, sensor size, and time that wraps around."""

from __future__ import annotations

import os
import re
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ..errors import FormatError
from ._binary import header_lines

__all__ = [
    "check_inside",
    "check_version",
    "has_header",
    "header_fields",
    "intervals",
    "sensor_size",
    "unwrap",
]

PathLike = str | os.PathLike[str]
_TEXT_CONTROLS = b"\t\r\n"


def has_header(data: bytes) -> bool:
    """Whether a file of 8-byte records begins with ``%`` lines rather than with a record.

    The last byte of a record holds the polarity and unused bits and is therefore below 32, while
    the eighth byte of a header is text; the first byte alone may be a time stamp of 37.
    """
    if not data.startswith(b"%"):
        return False
    return len(data) < 8 or data[7] >= 32 or data[7] in _TEXT_CONTROLS


def header_fields(
    path: PathLike, data: bytes, *, required: bool = False
) -> tuple[dict[str, str], int]:
    """The ``% key value`` lines with keys in lower case, and the offset after them.

    Args:
        path: the file, for the message.
        data: its content.
        required: refuse a file without any such line.

    Raises:
        FormatError: a line that begins as text holds something else.
    """
    lines, offset = header_lines(data, b"%", last="end")
    # after the last line, events may look like a line by chance
    ended = lines[-1:] == ["end"]
    if (required and not lines) or (not ended and _begins_a_line(data[offset : offset + 4])):
        raise FormatError(
            path, "expected a header line of readable text that ends with a line feed", offset
        )
    fields: dict[str, str] = {}
    for line in lines:
        key, _, value = line.partition(" ")
        fields[key.lower()] = value.strip()
    return fields, offset


def _begins_a_line(start: bytes) -> bool:
    # the type nibble of an EVT file's first word, a time-high, makes one of these bytes >= 128
    return start.startswith(b"%") and all(
        32 <= byte < 128 or byte in _TEXT_CONTROLS for byte in start
    )


def sensor_size(path: PathLike, fields: dict[str, str]) -> tuple[int, int] | None:
    """Rows and columns from ``height``/``width``, ``geometry WxH`` or ``format ...;height=...``.

    Raises:
        FormatError: a size that is no number between 1 and 65536.
    """
    found = dict(re.findall(r"(height|width)=([^;]*)", fields.get("format", "")))
    if "geometry" in fields:
        width, _, height = fields["geometry"].partition("x")
        found.update(width=width, height=height)
    found.update({key: fields[key] for key in ("height", "width") if key in fields})
    if len(found) < 2:
        return None
    for key, text in found.items():
        if not re.fullmatch(r"[0-9]{1,5}", text) or not 1 <= int(text) <= 65536:
            raise FormatError(path, f"expected a {key} of 1..65536 in the header, got {text!r}", 0)
    return int(found["height"]), int(found["width"])


def check_version(path: PathLike, fields: dict[str, str], version: str) -> None:
    """Refuse a file whose header names another version of the word format than ``"2.0"``.

    Raises:
        FormatError: naming the version found.
    """
    stated = fields.get("evt") or version, fields.get("format", "").partition(";")[0].upper()
    short = "EVT" + version.removesuffix(".0")
    if stated[0] != version or stated[1] not in ("", short):
        readers = {"EVT2": "read_evt2", "2.0": "read_evt2", "EVT3": "read_evt3", "3.0": "read_evt3"}
        other = stated[0] if stated[1] in ("", short) else stated[1]
        hint = f"use {readers[other]}" if other in readers else "convert it to EVT 2.0 or 3.0"
        raise FormatError(path, f"expected EVT {version}, the header says {other!r}; {hint}", 0)


def check_inside(
    path: PathLike,
    x: NDArray[np.integer],
    y: NDArray[np.integer],
    size: tuple[int, int],
    offset_of: Callable[[int], int] | None = None,
) -> None:
    """Refuse events outside the sensor of ``size`` (rows, columns).

    Args:
        path: the file, for the message.
        x: columns ``[N]``.
        y: rows ``[N]``.
        size: rows and columns.
        offset_of: byte offset of event ``i``.

    Raises:
        FormatError: naming the first such event and its offset.
    """
    if len(x) == 0:
        return
    height, width = size
    if x.min() >= 0 and x.max() < width and y.min() >= 0 and y.max() < height:
        return
    index = int(np.argmax((x < 0) | (x >= width) | (y < 0) | (y >= height)))
    raise FormatError(
        path,
        f"expected events inside the sensor of {height} rows and {width} columns, "
        f"got x = {int(x[index])}, y = {int(y[index])}",
        None if offset_of is None else offset_of(index),
    )


def unwrap(values: NDArray[np.int64], previous: int, bits: int) -> NDArray[np.int64]:
    """A counter of ``bits`` bits continued over its wraps.

    A fall by more than half the range is a wrap; a smaller one is time going backwards.

    Args:
        values: the counter ``[n]``.
        previous: the last result before them, -1 if there is none.
        bits: width of the counter.
    """
    if len(values) == 0:
        return values
    range_ = 1 << bits
    first = values[0] if previous < 0 else previous % range_
    falls = np.diff(values, prepend=first) < -(range_ // 2)
    return values + (np.cumsum(falls) + max(previous, 0) // range_) * range_


def intervals(high: NDArray[np.int64], bits: int, kind: str) -> tuple[NDArray, NDArray, NDArray]:
    """Counter values to write so that :func:`unwrap` gives back ``high``.

    A gap longer than a quarter of the counter's range gets values in between.

    Args:
        high: the unwrapped counter of each event ``[N]``, not negative.
        bits: width of the counter.
        kind: name of the format, for the message.

    Returns:
        For each of M >= N values: the event that it precedes, the unwrapped counter, and whether
        it is the last before its event.

    Raises:
        ValueError: time goes back by half the range or across a wrap.
    """
    quarter = 1 << (bits - 2)
    steps = np.diff(high, prepend=0)
    lost = (steps < -2 * quarter) | ((steps < 0) & (np.diff(high >> bits, prepend=0) != 0))
    if lost.any():
        index = int(np.argmax(lost))
        raise ValueError(
            f"{kind} cannot hold a step back in time as far as before event {index}; sort the "
            "events first"
        )
    extra = np.maximum(steps - 1, 0) // quarter
    event = np.repeat(np.arange(len(high)), extra + 1)
    rank = np.arange(len(event)) - np.repeat(np.cumsum(extra + 1) - extra - 1, extra + 1)
    last = rank == extra[event]
    value = np.where(last, high[event], (high - steps)[event] + (rank + 1) * quarter)
    return event, value, last
