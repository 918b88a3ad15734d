"""The 40-bit events of N-MNIST and N-Caltech101 (ATIS sensor), `.bin`.

Five bytes per event, high bits first:

    byte 0     x
    byte 1     y
    byte 2     bit 7: p, bits 6-0: bits 22-16 of t
    byte 3, 4  bits 15-0 of t, in microseconds

A record with y = 240 is no event: the sensor's clock has wrapped, and 2^13 us are added to every
time after it.  Format: Orchard et al., "Converting static image datasets to spiking neuromorphic
datasets using saccades", Frontiers in Neuroscience 9:437 (2015).
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..events import EventColumns, Events
from ._binary import as_events, check_field, decoded_events, read_file, records, write_file

__all__ = ["load_ATIS_bin", "read_atis", "write_atis"]

_MARKER_ROW = 240
_MARKER_STEP = 1 << 13
_LARGEST_T = (1 << 23) - 1
# 2.4 hours: without a bound one wrong time would fill the disk with overflow records
_LATEST = (1 << 33) - 1


def read_atis(
    path: str | os.PathLike[str], *, overflow: bool = True, strict: bool = True
) -> Events:
    """Events of a 40-bit `.bin` file.

    Args:
        path: the file.
        overflow: honour the records with y = 240; ``False`` returns them as events, as simple
            decoders do.
        strict: refuse an incomplete last record; ``False`` drops it.

    Raises:
        FileNotFoundError: no such file.
        FormatError: the size is no multiple of 5.
    """
    raw = records(path, read_file(path), 0, np.dtype((np.uint8, 5)), strict=strict)
    x, y, high, middle, low = raw.T
    t = (high & 0x7F).astype(np.int64) << 16 | middle.astype(np.int64) << 8 | low
    events = decoded_events(t, x, y, high >> 7)
    return _without_markers(events) if overflow else events


def load_ATIS_bin(file_name: str | os.PathLike[str]) -> dict[str, NDArray[Any]]:
    """Columns t, x, y, p of a 40-bit `.bin` file, overflow records honoured."""
    return read_atis(file_name).columns()


def write_atis(path: str | os.PathLike[str], events: EventColumns) -> None:
    """Write 40-bit events; times above 2^23 - 1 us get the overflow records they need.

    Raises:
        ValueError: x above 255; y above 255, or 240, which marks an overflow; t negative or above
            2^33 - 1; or an event so far back that no record can hold it after an overflow.
    """
    array = as_events(events).array
    kind = "the 40-bit format"
    check_field("x", array["x"], 0, 255, kind)
    check_field("y", array["y"], 0, 255, kind)
    check_field("t", array["t"], 0, _LATEST, kind)
    if np.any(array["y"] == _MARKER_ROW):
        raise ValueError(f"{kind} keeps y = {_MARKER_ROW} for its overflow records")
    needed = np.maximum(array["t"] - _LARGEST_T + _MARKER_STEP - 1, 0) // _MARKER_STEP
    markers = np.maximum.accumulate(needed) if len(needed) else needed
    t = array["t"] - markers * _MARKER_STEP
    if np.any(t < 0):
        index = int(np.argmax(t < 0))
        raise ValueError(
            f"event {index} at {int(array['t'][index])} us comes after an overflow that begins "
            f"at {int(markers[index]) * _MARKER_STEP} us; sort the events by time first"
        )
    raw = np.zeros((len(array), 5), np.uint8)
    raw[:, 0], raw[:, 1] = array["x"], array["y"]
    raw[:, 2] = array["p"] << 7 | (t >> 16).astype(np.uint8)
    raw[:, 3], raw[:, 4] = t >> 8 & 0xFF, t & 0xFF
    write_file(path, [_with_markers(raw, np.diff(markers, prepend=0))])


def _without_markers(events: Events) -> Events:
    marker = events["y"] == _MARKER_ROW
    if not marker.any():
        return events
    kept = events.array[~marker]
    kept["t"] += np.cumsum(marker)[~marker] * _MARKER_STEP
    return Events(kept)


def _with_markers(raw: NDArray[np.uint8], before: NDArray[np.int64]) -> NDArray[np.uint8]:
    """``raw`` with ``before[i]`` overflow records in front of record i."""
    out = np.zeros((len(raw) + int(before.sum()), 5), np.uint8)
    out[:, 1] = _MARKER_ROW
    out[np.arange(len(raw)) + np.cumsum(before)] = raw
    return out
