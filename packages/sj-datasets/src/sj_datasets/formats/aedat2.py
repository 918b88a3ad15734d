"""AEDAT 2.0 recordings of jAER, `.aedat`: CIFAR10-DVS and many others.

Header lines that start with `#` and end with CR LF, then pairs of big-endian uint32:
an address and the time in microseconds.

    DVS128    bits 14-8: row, bits 7-1: column, bit 0: polarity; other bits are ignored
    DAVIS     bit 31: 1 for anything that is no polarity event, bits 30-22: y, bits 21-12: x,
              bit 11: polarity

A DVS128 numbers its pixels from the corner opposite to the image's and calls 0 the brighter
polarity.  The upright picture, which CIFAR10-DVS is used in, is

    x = 127 - row,  y = 127 - column,  p = 1 - polarity
"""

from __future__ import annotations

import os

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
    records,
    write_file,
)

__all__ = ["read_aedat2", "write_aedat2"]

_VERSION = "!AER-DAT2.0"
_END = "End Of ASCII Header"
_RECORD = np.dtype([("address", ">u4"), ("t", ">u4")])
_SIZES = {"DVS128": (128, 128), "DAVIS240": (180, 240), "DAVIS346": (260, 346)}
_ORIENTATIONS = ("upright", "raw")


def read_aedat2(
    path: str | os.PathLike[str],
    *,
    sensor: str | None = None,
    orientation: str = "upright",
    strict: bool = True,
) -> Events:
    """Polarity events of an AEDAT 2.0 recording.

    Args:
        path: the file.
        sensor: ``"DVS128"``, ``"DAVIS240"`` or ``"DAVIS346"``; ``None`` takes the one that the
            header names, or else DVS128.
        orientation: of DVS128 events: ``"upright"`` as CIFAR10-DVS is used (see the module), or
            ``"raw"`` with x = column, y = row, p = polarity bit. DAVIS events are never turned.
        strict: refuse an incomplete last record; ``False`` drops it.

    Raises:
        FileNotFoundError: no such file.
        FormatError: another version, a truncated file, or an event outside the sensor.
        ValueError: an unknown option.
    """
    _check_options(sensor, orientation)
    data = read_file(path)
    lines, start = header_lines(data, b"#", _END)
    if not lines or lines[0] != _VERSION:
        found = f"'#{lines[0]}'" if lines else "no header"
        raise FormatError(path, f"expected '#{_VERSION}' in the first line, found {found}", 0)
    raw = records(path, data, start, _RECORD, strict=strict)
    address, t = raw["address"].astype(np.uint32), raw["t"]
    sensor = sensor or _named_sensor(lines)
    if sensor == "DVS128":
        return _dvs128(address, t, orientation)
    return _davis(path, address, t, start, sensor)


def write_aedat2(
    path: str | os.PathLike[str],
    events: EventColumns,
    *,
    sensor: str | None = None,
    orientation: str = "upright",
) -> None:
    """Write an AEDAT 2.0 recording whose header names its sensor.

    Args:
        path: the file.
        events: the events.
        sensor: as in :func:`read_aedat2`; ``None`` takes the one of ``events.sensor_size``, or
            else DVS128.
        orientation: of the given events, as in :func:`read_aedat2`.

    Raises:
        ValueError: an event outside the sensor, t outside 0..2^32 - 1, or an unknown option.
    """
    _check_options(sensor, orientation)
    events = as_events(events)
    if sensor is None:
        sensor = next((k for k, v in _SIZES.items() if v == events.sensor_size), "DVS128")
    kind = f"AEDAT 2.0 of a {sensor}"
    height, width = _SIZES[sensor]
    check_field("x", events["x"], 0, width - 1, kind)
    check_field("y", events["y"], 0, height - 1, kind)
    check_field("t", events["t"], 0, (1 << 32) - 1, kind)
    x, y, p = (events[field].astype(np.uint32) for field in "xyp")
    raw = np.empty(events.count, _RECORD)
    raw["t"] = events["t"]
    if sensor != "DVS128":
        raw["address"] = y << 22 | x << 12 | p << 11
    elif orientation == "raw":
        raw["address"] = y << 8 | x << 1 | p
    else:
        raw["address"] = (127 - x) << 8 | (127 - y) << 1 | (1 - p)
    header = f"#{_VERSION}\r\n# AEChip: {sensor}\r\n# Timestamps tick is 1 us\r\n#{_END}\r\n"
    write_file(path, [header.encode(), raw])


def _dvs128(address: NDArray[np.uint32], t: NDArray[np.uint32], orientation: str) -> Events:
    low = address.astype(np.uint8)  # small types: a recording of hours fits in memory
    row, column, polarity = (address >> 8).astype(np.uint8) & 0x7F, low >> 1, low & 1
    if orientation == "raw":
        return decoded_events(t, column, row, polarity, _SIZES["DVS128"])
    return decoded_events(t, 127 - row, 127 - column, 1 - polarity, _SIZES["DVS128"])


def _davis(
    path: str | os.PathLike[str],
    address: NDArray[np.uint32],
    t: NDArray[np.uint32],
    start: int,
    sensor: str,
) -> Events:
    polarity_event = address >> 31 == 0
    x, y = address >> 12 & 0x3FF, address >> 22 & 0x1FF
    height, width = _SIZES[sensor]
    outside = np.flatnonzero(polarity_event & ((x >= width) | (y >= height)))
    if len(outside):
        first = int(outside[0])
        raise FormatError(
            path,
            f"expected an event within the {height} rows and {width} columns of a {sensor}, found "
            f"y = {y[first]}, x = {x[first]}; sensor= chooses another sensor",
            start + first * _RECORD.itemsize,
        )
    kept = polarity_event.nonzero()
    polarity = address >> 11 & 1
    return decoded_events(t[kept], x[kept], y[kept], polarity[kept], (height, width))


def _named_sensor(lines: list[str]) -> str:
    for line in lines:
        if line.startswith("AEChip"):
            return next((sensor for sensor in _SIZES if sensor.upper() in line.upper()), "DVS128")
    return "DVS128"


def _check_options(sensor: str | None, orientation: str) -> None:
    if sensor is not None and sensor not in _SIZES:
        raise ValueError(f"sensor must be one of {', '.join(_SIZES)}, got {sensor!r}")
    if orientation not in _ORIENTATIONS:
        raise ValueError(f"orientation must be 'upright' or 'raw', got {orientation!r}")
