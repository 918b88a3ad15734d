"""All formats of event recordings, and the functions that find the right one for a file."""

from __future__ import annotations

import difflib
import importlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import FormatError
from ..events import EventColumns, Events
from . import _sniff
from ._binary import header_lines, read_file

__all__ = ["FORMATS", "Format", "describe", "detect_format", "read_events", "write_events"]


@dataclass(frozen=True)
class Format:
    """One row of the table.

    Args:
        name: what ``format=`` takes.
        suffixes: usual ends of file names, in lower case.
        read: reader as ``"module:function"``, imported when it is used.
        write: writer likewise, or ``None``.
        sniff: whether a file, given its path and first bytes, looks like this format.
        about: who uses it.
    """

    name: str
    suffixes: tuple[str, ...]
    read: str
    write: str | None
    sniff: Callable[[Path, bytes], bool]
    about: str = ""


def _row(name: str, suffixes: str, sniff: Callable[[Path, bytes], bool], about: str) -> Format:
    module = f"sj_datasets.formats.{name}"
    return Format(
        name,
        tuple(suffixes.split()),
        f"{module}:read_{name}",
        f"{module}:write_{name}",
        sniff,
        about,
    )


# Of several formats with one suffix the first is what write_events chooses.
FORMATS: dict[str, Format] = {
    row.name: row
    for row in (
        _row("columns", ".npz .npy", _sniff.is_columns, "arrays t, x, y, p: HARDVS, DVS-Lip"),
        _row("aedat4", ".aedat4", _sniff.is_aedat4, "DV"),
        _row("aedat3", ".aedat", _sniff.is_aedat3, "AEDAT 3.1: DVS128 Gesture"),
        _row("aedat2", ".aedat", _sniff.is_aedat2, "AEDAT 2.0: CIFAR10-DVS"),
        _row("evt3", ".raw", _sniff.is_evt3, "Prophesee EVT 3.0"),
        _row("evt2", ".raw", _sniff.is_evt2, "Prophesee EVT 2.0"),
        _row("prophesee_dat", ".dat", _sniff.is_prophesee_dat, "Prophesee DAT"),
        _row("navgesture", ".dat", _sniff.is_navgesture, "NavGesture"),
        _row("asl_dvs", ".mat", _sniff.is_asl_dvs, "ASL-DVS"),
        _row("es_imagenet", ".npz", _sniff.is_es_imagenet, "arrays pos, neg: ES-ImageNet"),
        _row("bullying10k", ".npy", _sniff.is_bullying10k, "lists of events: Bullying10K"),
        _row("atis", ".bin", _sniff.is_atis, "40-bit events: N-MNIST, N-Caltech101"),
    )
}


def detect_format(path: str | os.PathLike[str]) -> Format:
    """The format of a recording, by its first bytes and its suffix.

    Raises:
        FileNotFoundError: no such file.
        FormatError: it looks like none of the formats.
    """
    path = Path(path)
    head = read_file(path, _sniff.HEAD_SIZE)
    for row in FORMATS.values():
        if row.sniff(path, head):
            return row
    known = ", ".join(f"{row.name} ({' '.join(row.suffixes)})" for row in FORMATS.values())
    raise FormatError(path, f"unknown format; format= takes one of {known}")


def read_events(path: str | os.PathLike[str], format: str | None = None, **options: Any) -> Events:
    """Events of a recording of any known format.

    Args:
        path: the file.
        format: name from :data:`FORMATS`; ``None`` finds it by :func:`detect_format`.
        **options: options of the format's reader; an unknown one is a TypeError.

    Raises:
        FileNotFoundError: no such file.
        FormatError: unknown format, or a damaged file.
        ValueError: no format of that name.
        ImportError: the format needs an extra that is not installed.
    """
    row = detect_format(path) if format is None else _named(format)
    return _function(row.read)(path, **options)


def write_events(
    path: str | os.PathLike[str], events: EventColumns, format: str | None = None
) -> None:
    """Write a recording; without ``format`` in the first format of the table with its suffix.

    Raises:
        ValueError: no format of that name or suffix, or events that the format cannot hold.
        OSError: the folder is missing or not writable.
    """
    if format is not None:
        row = _named(format)
    else:
        suffix = Path(path).suffix.lower()
        rows = [row for row in FORMATS.values() if suffix in row.suffixes and row.write]
        if not rows:
            suffixes = sorted({suffix for row in FORMATS.values() for suffix in row.suffixes})
            raise ValueError(
                f"{os.fspath(path)}: no format is written with the suffix {suffix!r}; use one of "
                f"{' '.join(suffixes)}, or format="
            )
        row = rows[0]
    if row.write is None:
        raise ValueError(f"format {row.name!r} can only be read")
    _function(row.write)(path, events)


def describe(path: str | os.PathLike[str], format: str | None = None) -> dict[str, object]:
    """What a recording is and holds; times in microseconds, rates per second.

    Keys: format, about, bytes, events, sensor_size ((H, W) or ``None``), t_first, t_last,
    duration, rate, ordered (times never go backwards), x, y (smallest and largest), brighter
    (share of events with p = 1), header (text lines).

    Raises:
        FileNotFoundError: no such file.
        FormatError: unknown format, or a damaged file.
    """
    row = detect_format(path) if format is None else _named(format)
    events = read_events(path, row.name)
    result: dict[str, object] = {
        "format": row.name,
        "about": row.about,
        "bytes": Path(path).stat().st_size,
        "events": events.count,
        "sensor_size": events.sensor_size,
    }
    if events.count:
        t, x, y = (events[field] for field in "txy")
        duration = int(t.max()) - int(t.min())
        result |= {
            "t_first": int(t[0]),
            "t_last": int(t[-1]),
            "duration": duration,
            "rate": events.count / (duration * 1e-6) if duration else None,
            "ordered": bool(np.all(t[1:] >= t[:-1])),
            "x": (int(x.min()), int(x.max())),
            "y": (int(y.min()), int(y.max())),
            "brighter": float(events["p"].mean()),
        }
    result["header"] = _header_text(path)
    return result


def _header_text(path: str | os.PathLike[str]) -> list[str]:
    head = read_file(path, _sniff.HEAD_SIZE)
    for prefix, last in ((b"#", "!END-HEADER"), (b"%", "end")):
        lines, _ = header_lines(head, prefix, last)
        if lines:
            return lines
    return []


def _named(name: str) -> Format:
    if name not in FORMATS:
        close = difflib.get_close_matches(name, FORMATS, 1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise ValueError(f"no format {name!r}{hint} Known: {', '.join(FORMATS)}")
    return FORMATS[name]


def _function(where: str) -> Callable[..., Any]:
    module, _, name = where.partition(":")
    return getattr(importlib.import_module(module), name)
