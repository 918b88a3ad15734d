"""Prophesee EVT 3.0: 16-bit little-endian words after a text header, each a change of state.

    bits 15-12   0     row y in bits 10-0
                 2     one event: x in bits 10-0, polarity in bit 11
                 3     base column of vectors in bits 10-0, their polarity in bit 11
                 4, 5  vector of 12 or 8 pixels: bit k is an event at base + k; then base moves on
                 6     time low: t bits 11-0
                 8     time high: t bits 23-12; a new value sets the low part to 0; wraps at 2^24
                 other triggers and further words, skipped

Events before the first time-high, row or base column they depend on are left out.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import FormatError
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
from .evt2 import evt_header

__all__ = ["read_evt3", "write_evt3"]

_ROW, _SINGLE, _BASE, _VECTOR_12, _VECTOR_8, _TIME_LOW, _TIME_HIGH = 0, 2, 3, 4, 5, 6, 8
_UNKNOWN = -(1 << 40)
_CHUNK = 1 << 16  # words decoded together: their columns stay in the processor's cache
_LATEST = 2**40
_ADDRESSES = 2048
_ADVANCE = np.zeros(16, np.int64)
_ADVANCE[[_VECTOR_12, _VECTOR_8]] = 12, 8


@dataclass
class _State:
    """What words so far have set; times are unwrapped."""

    high: int = -1
    low: int = 0
    y: int = _UNKNOWN
    base: int = _UNKNOWN
    p: int = 0

    @property
    def known(self) -> bool:
        return self.high >= 0 and self.y >= 0 and self.base >= 0


def read_evt3(path: str | os.PathLike[str], *, strict: bool = True) -> Events:
    """Events of an EVT 3.0 file, in file order; the sensor size comes from the header.

    Args:
        path: the recording.
        strict: refuse a file that ends inside a word; ``False`` drops the incomplete one.

    Raises:
        FileNotFoundError: no such file.
        FormatError: broken header, another version, an incomplete word, or an event outside the
            sensor (2048 columns where the header names none).
    """
    data = read_file(path)
    fields, start = header_fields(path, data)
    check_version(path, fields, "3.0")
    size = sensor_size(path, fields)
    words = records(path, data, start, "<u2", strict=strict)
    state, parts = _State(), [np.empty(0, EVENT_DTYPE)]
    for first in range(0, len(words), _CHUNK):
        events, at = _decode(path, words[first : first + _CHUNK], state, start + 2 * first)
        if size is not None:
            offset = start + 2 * first
            check_inside(
                path, events["x"], events["y"], size, lambda i, o=offset, a=at: o + 2 * int(a[i])
            )
        parts.append(events)
    return Events(np.concatenate(parts), size)


def _decode(
    path: str | os.PathLike[str], words: NDArray[np.uint16], state: _State, offset: int
) -> tuple[NDArray[np.void], NDArray[np.intp]]:
    """Events of some words and the word of each; ``state`` is moved to their end."""
    kind = (words >> 12).astype(np.uint8)
    complete = state.known
    at = np.flatnonzero((kind == _SINGLE) | (kind == _VECTOR_12) | (kind == _VECTOR_8))
    t = _times(words, kind, at, state)
    y = _rows(words, kind, at, state)
    word = words.take(at)
    x, p = (word & 0x7FF).astype(np.int64), (word >> 11 & 1).astype(np.uint8)
    is_vector = kind.take(at) != _SINGLE
    x[is_vector], p[is_vector] = _columns(words, kind, state)
    if not complete:
        kept = (t | y | x) >= 0
        at, is_vector = at[kept], is_vector[kept]
        t, y, x, p = t[kept], y[kept], x[kept], p[kept]
    if is_vector.any():
        event, bit = _expand(words[at], kind[at], is_vector)
        at, t, y, p = at[event], t[event], y[event], p[event]
        x = x[event] + bit
        if len(x) and x.max() >= _ADDRESSES:
            index = int(np.argmax(x >= _ADDRESSES))
            raise FormatError(
                path,
                f"expected columns below {_ADDRESSES}, a vector reaches {x[index]}",
                offset + 2 * int(at[index]),
            )
    events = np.empty(len(at), EVENT_DTYPE)
    events["t"], events["x"], events["y"], events["p"] = t, x, y, p
    return events, at


def _times(
    words: NDArray[np.uint16], kind: NDArray[np.uint8], at: NDArray[np.intp], state: _State
) -> NDArray[np.int64]:
    """Time of the words ``at``, negative while no time-high is known."""
    is_time = (kind == _TIME_LOW) | (kind == _TIME_HIGH)
    word = words.compress(is_time)
    value = (word & 0xFFF).astype(np.int64)
    is_high = word >> 12 == _TIME_HIGH
    of_high = np.flatnonzero(is_high)
    highs = np.concatenate([[state.high], unwrap(value.take(of_high), state.high, 12)])
    high = highs.take(np.cumsum(is_high))
    sets_low = ~is_high
    sets_low[of_high] = np.diff(highs) != 0
    value[of_high] = 0
    low = np.concatenate([[state.low], value.compress(sets_low)]).take(np.cumsum(sets_low))
    times = np.concatenate([[state.high << 12 | state.low], high << 12 | low])
    state.high, state.low = int(times[-1]) >> 12, int(times[-1]) & 0xFFF
    return times.take(np.cumsum(is_time).take(at))


def _rows(
    words: NDArray[np.uint16], kind: NDArray[np.uint8], at: NDArray[np.intp], state: _State
) -> NDArray[np.int64]:
    """Row of the words ``at``, negative while none is known."""
    is_row = kind == _ROW
    rows = np.concatenate([[state.y], (words.compress(is_row) & 0x7FF).astype(np.int64)])
    state.y = int(rows[-1])
    return rows.take(np.cumsum(is_row).take(at))


def _columns(
    words: NDArray[np.uint16], kind: NDArray[np.uint8], state: _State
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """First column and polarity of every vector word, negative while no base is known."""
    of_columns = (kind >= _BASE) & (kind <= _VECTOR_8)
    word, kind = words.compress(of_columns), kind.compress(of_columns)
    is_base = kind == _BASE
    advance = _ADVANCE[kind]
    moved = np.cumsum(advance) - advance
    group = np.cumsum(is_base)
    base = np.concatenate([[state.base], (word[is_base] & 0x7FF) - moved[is_base]])
    p = np.concatenate([[state.p], word[is_base] >> 11 & 1])
    x = base[group] + moved
    if len(word):
        state.base, state.p = int(x[-1] + advance[-1]), int(p[-1])
        if state.base < 0:
            state.base = _UNKNOWN
    return x[~is_base], p[group[~is_base]]


def _expand(
    word: NDArray[np.uint16], kind: NDArray[np.uint8], is_vector: NDArray[np.bool_]
) -> tuple[NDArray[np.intp], NDArray[np.int64]]:
    """For each event, the word it comes from and its distance from the word's first column."""
    mask = np.where(kind == _VECTOR_8, word & 0xFF, word & 0xFFF)[is_vector].astype("<u2")
    bits = np.unpackbits(mask.view(np.uint8).reshape(-1, 2), axis=1, bitorder="little")
    vector, column = np.nonzero(bits)
    counts = np.ones(len(word), np.int64)
    counts[is_vector] = np.bincount(vector, minlength=len(mask))
    event = np.repeat(np.arange(len(word)), counts)
    distance = np.zeros(len(event), np.int64)
    distance[is_vector[event]] = column
    return event, distance


def write_evt3(path: str | os.PathLike[str], events: EventColumns) -> None:
    """Write an EVT 3.0 file of single-event words; ``path`` is replaced at the end.

    Raises:
        ValueError: t outside 0..2^40-1, x or y above 2047, or a step back in time of seconds.
        OSError: the folder is missing or not writable.
    """
    events = as_events(events)
    check_field("t", events["t"], 0, _LATEST - 1, "an EVT 3.0 file")
    for name in ("x", "y"):
        check_field(name, events[name], 0, _ADDRESSES - 1, "an EVT 3.0 file")
    t, y = events["t"], events["y"].astype(np.int64)
    event, high, last = intervals(t >> 12, 12, "an EVT 3.0 file")
    new_time = np.diff(t, prepend=-1) != 0
    new_row = np.diff(y, prepend=-1) != 0
    words = np.zeros((len(event), 4), "<u2")
    words[:, 0] = _TIME_HIGH << 12 | high & 0xFFF
    words[last, 1] = _TIME_LOW << 12 | t & 0xFFF
    words[last, 2] = _ROW << 12 | y
    words[last, 3] = _SINGLE << 12 | events["p"].astype("<u2") << 11 | events["x"]
    kept = np.zeros(words.shape, np.bool_)
    kept[:, 0] = np.diff(high, prepend=-1) != 0
    kept[last, 1], kept[last, 2], kept[last, 3] = new_time, new_row, True
    write_file(path, [evt_header("3.0", events.sensor_size), words[kept]])
