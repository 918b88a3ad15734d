"""What the binary formats share: text headers, whole records, range checks, writing."""

from __future__ import annotations

import os
from collections.abc import Iterable
from io import FileIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from ..atomic import atomic_path
from ..errors import FormatError
from ..events import EVENT_DTYPE, EventColumns, Events

__all__ = [
    "as_events",
    "check_field",
    "check_order",
    "decoded_events",
    "header_lines",
    "open_recording",
    "read_file",
    "records",
    "trimmed",
    "write_file",
]

_LONGEST_LINE = 1 << 16
# bytes written at once: Linux keeps them in memory in one piece, which is up to five times faster
# to read than many small ones
_AT_ONCE = 1 << 20


def read_file(path: str | os.PathLike[str], most: int = -1) -> bytes:
    """The whole file, or its first ``most`` bytes.

    Raises:
        FileNotFoundError: no such file.
        IsADirectoryError: a folder was given.
    """
    with open(_recording(path), "rb") as file:
        return file.read(most)


def open_recording(path: str | os.PathLike[str]) -> FileIO:
    """The file, without a buffer.

    Raises:
        FileNotFoundError: no such file.
        IsADirectoryError: a folder was given.
    """
    return FileIO(_recording(path))


def trimmed(array: NDArray[Any], count: int) -> NDArray[Any]:
    """The first ``count`` elements, without holding on to much more memory than they need."""
    return array[:count] if 2 * count >= len(array) else array[:count].copy()


def _recording(path: str | os.PathLike[str]) -> Path:
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder; give one recording")
    if not path.exists():
        raise FileNotFoundError(f"no recording {path}")
    return path


def header_lines(data: bytes, prefix: bytes, last: str | None = None) -> tuple[list[str], int]:
    """Text lines at the start of ``data`` that begin with ``prefix``, and where they end.

    A line ends at a line feed and is readable text. Bytes that merely begin like a line, as the
    first event of a file without header may, are therefore no header.

    Args:
        data: the file from its first byte.
        prefix: ``b"#"`` or ``b"%"``.
        last: text of the line that ends the header, in formats that have one.

    Returns:
        The lines without prefix and line end, and the offset of the first byte after them.
    """
    lines: list[str] = []
    offset = 0
    while data.startswith(prefix, offset):
        end = data.find(b"\n", offset, offset + _LONGEST_LINE)
        text = data[offset:end].rstrip(b"\r")
        if end < 0 or not _readable(text):
            break
        lines.append(text[len(prefix) :].decode("latin-1").strip())
        offset = end + 1
        if last is not None and lines[-1] == last:
            break
    return lines, offset


def _readable(text: bytes) -> bool:
    return all(byte >= 32 or byte == 9 for byte in text)


def records(
    path: str | os.PathLike[str],
    data: bytes,
    offset: int,
    dtype: DTypeLike,
    *,
    strict: bool = True,
) -> NDArray[Any]:
    """All records of ``dtype`` from ``offset`` to the end of ``data``, without a copy, read-only.

    Args:
        path: the file, for the error.
        data: its bytes.
        offset: where the first record starts.
        dtype: type of a record.
        strict: refuse an incomplete last record; ``False`` drops it.

    Raises:
        FormatError: the last record is incomplete; the offset is where it starts.
    """
    dtype = np.dtype(dtype)
    count, rest = divmod(len(data) - offset, dtype.itemsize)
    if rest and strict:
        raise FormatError(
            path,
            f"expected a whole record of {dtype.itemsize} bytes, but the file ends after {rest}; "
            "it is truncated (strict=False drops the incomplete record)",
            offset + count * dtype.itemsize,
        )
    return np.frombuffer(data, dtype, count, offset)


def decoded_events(
    t: ArrayLike,
    x: ArrayLike,
    y: ArrayLike,
    p: ArrayLike,
    sensor_size: tuple[int, int] | None = None,
) -> Events:
    """Events from columns whose values fit their fields by construction: no range checks."""
    array = np.empty(np.shape(t), EVENT_DTYPE)
    array["t"], array["x"], array["y"], array["p"] = t, x, y, p
    return Events(array, sensor_size)


def as_events(events: EventColumns) -> Events:
    """``events`` itself, or events from a dict of the arrays t, x, y, p."""
    if isinstance(events, Events):
        return events
    return Events.from_arrays(events["t"], events["x"], events["y"], events["p"])


def check_field(name: str, column: NDArray[Any], low: int, high: int, kind: str) -> None:
    """Refuse values of one field that the format ``kind`` cannot hold.

    Raises:
        ValueError: a value lies outside ``low..high``.
    """
    if len(column) == 0:
        return
    smallest, largest = int(column.min()), int(column.max())
    if smallest < low or largest > high:
        raise ValueError(
            f"{kind} holds {name} in {low}..{high}, got {smallest}..{largest}; "
            "use another format or change the events"
        )


def check_order(t: NDArray[Any], kind: str) -> None:
    """Refuse time stamps that go backwards where the format cannot hold them.

    Raises:
        ValueError: an event is earlier than the one before it.
    """
    back = np.flatnonzero(t[1:] < t[:-1])
    if len(back):
        index = int(back[0]) + 1
        raise ValueError(
            f"{kind} needs events in order of time, but event {index} ({int(t[index])}) is "
            f"earlier than the one before ({int(t[index - 1])}); sort them first"
        )


def write_file(path: str | os.PathLike[str], parts: Iterable[bytes | NDArray[Any]]) -> None:
    """Write ``parts`` one after the other; ``path`` is replaced at the end."""
    with atomic_path(path) as temporary, open(temporary, "wb", _AT_ONCE) as file:
        for part in parts:
            file.write(part if isinstance(part, bytes) else part.tobytes())
