"""Packets of AEDAT 3.1 recordings: the slots of their events, in as few pieces as possible.

Recordings have thousands of packets, so that what a packet costs counts as much as what its events
cost. Packets alike that follow each other are one array with a longer step between its rows;
others are moved together, over the headers between them.
"""

from __future__ import annotations

import os
import struct
from io import FileIO

import numpy as np
from numpy.typing import NDArray

from ..errors import FormatError

__all__ = ["HEADER", "POLARITY", "SLOT", "TIME_AT", "PacketReader", "Piece"]

HEADER = struct.Struct("<HHIIIIII")
POLARITY = 1
# a slot as it is written and handed out: the word, then the time
SLOT = 8
TIME_AT = 4
_CHUNK = 1 << 21
_PAGE = 4096
_FIELDS_READ = struct.Struct("<H2x5I4x")
_COMPRESSED = 0x8000
_WIDEST_SLOT = 1 << 16
_SHARED = 24  # bytes of a header that packets alike share: all but the number of valid events
_FEWEST_ALIKE = 4
_LARGE = 1 << 17  # bytes; so many slots are cheaper as a piece of their own than moved

# slots [k, n], word below and time above, and how often their time overflowed
Piece = tuple[NDArray[np.uint64], int]
# type, eventSize, tsOffset, tsOverflow, capacity, number; a plain tuple costs least
_Header = tuple[int, ...]


class PacketReader:
    """Slots of the polarity packets from ``offset`` on, in the order of the file.

    Args:
        path: the file, for errors.
        file: the same, open and without a buffer.
        offset: byte of the first packet.
        strict: refuse a truncated last packet; ``False`` keeps its whole events.
        chunk: bytes read at once.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        file: FileIO,
        offset: int,
        strict: bool,
        chunk: int = _CHUNK,
    ) -> None:
        self.path, self.file, self.offset, self.strict = path, file, offset, strict
        self.end = os.fstat(file.fileno()).st_size
        self.most = chunk // SLOT
        room = np.empty(chunk + 3 * _PAGE, np.uint8)
        self._room = room[-room.ctypes.data % _PAGE :].data
        # of the packet at `offset`: slots still to come, their layout, bytes after them
        self._left, self._slot, self._time_at, self._unused = 0, SLOT, TIME_AT, 0
        self._overflow = 0

    @property
    def ended(self) -> bool:
        return self.offset >= self.end

    def read(self) -> list[Piece]:
        """The next slots, at most ``most``; they lie before byte ``offset``.

        The next call overwrites them. None does not mean that the file ended.

        Raises:
            FormatError: compressed or truncated packets, a header that contradicts itself, or a
                file that changes meanwhile.
        """
        data = self._chunk()
        pieces = _Pieces(data, self._overflow)
        before = None
        at = 0
        while True:
            at = self._take(data, at, pieces)
            if self._left or len(data) - at < HEADER.size:
                break
            header = _FIELDS_READ.unpack_from(data, at)
            *layout, capacity, number = header
            body = at + HEADER.size
            stop = body + SLOT * capacity
            if header == before and (count := _alike(data[at:], header)):
                at = pieces.add_alike(at, header, count)
            elif layout == pieces.usual and number <= capacity and stop <= len(data):
                # what _enter and _take would do, as nearly all packets are like this
                pieces.add(body, body + SLOT * number)
                at, before = stop, header
            else:
                self._enter(header, self.offset + at, pieces)
                at, before = body, None
        self.offset += at
        self._check_end()
        return pieces.whole()

    def _chunk(self) -> memoryview:
        # Zen processors copy ten times slower to just above the source's place in its page, so
        # this is the same place, or just below, where the slots of the first packet are aligned.
        start = _PAGE + self.offset % _PAGE
        start -= (start + (0 if self._left else HEADER.size)) % SLOT
        self.file.seek(self.offset)
        wanted = min(SLOT * self.most, self.end - self.offset)
        size = self.file.readinto(self._room[start : start + wanted]) or 0
        if size < wanted:
            raise FormatError(self.path, "the file became shorter while it was read", self.offset)
        return self._room[start : start + size]

    def _take(self, data: memoryview, at: int, pieces: _Pieces) -> int:
        """Hand out what ``data`` has of the current packet; returns the byte after it."""
        if self._left:
            number = min(self._left, (len(data) - at) // self._slot)
            stop = at + number * self._slot
            if self._slot == SLOT:
                pieces.add(at, stop)
            else:
                pieces.add_wide(data[at:stop], self._slot, self._time_at)
            at, self._left = stop, self._left - number
        if not self._left:
            at, self._unused = at + self._unused, 0
        return at

    def _enter(self, header: _Header, offset: int, pieces: _Pieces) -> None:
        """Make the packet whose header is at byte ``offset`` the current one."""
        kind, slot, time_at, overflow, capacity, number = header
        here = self.end - offset - HEADER.size
        body = slot * capacity
        if kind & _COMPRESSED:
            raise FormatError(self.path, "expected a plain packet, found a compressed one", offset)
        if kind == POLARITY and number:
            fits = SLOT <= slot <= _WIDEST_SLOT and 4 <= time_at <= slot - 4
            if number > capacity or not fits:
                raise FormatError(
                    self.path,
                    f"a polarity packet says {number} events in {capacity} slots of {slot} bytes "
                    f"with the time at byte {time_at}, which cannot be",
                    offset,
                )
            self._slot, self._time_at, self._overflow = slot, time_at, overflow
            self._left = min(number, here // slot)
            pieces.enter(overflow)
        if body > here and self.strict:
            raise FormatError(
                self.path,
                f"expected a packet of {capacity} slots of {slot} bytes, but the file ends "
                f"after {here} bytes; it is truncated or corrupt",
                offset,
            )
        self._unused = min(body, here) - self._left * slot

    def _check_end(self) -> None:
        rest = self.end - self.offset
        if self._left or not 0 < rest < HEADER.size:
            return
        if self.strict:
            raise FormatError(
                self.path, f"expected a packet header of 28 bytes, {rest} are left", self.offset
            )
        self.offset = self.end


class _Pieces:
    """Collects the slots of a chunk."""

    def __init__(self, data: memoryview, overflow: int) -> None:
        self._data = data
        self._found: list[Piece] = []
        self._first = self._last = 0  # data[first:last] are slots moved together so far
        self.enter(overflow)

    def enter(self, overflow: int) -> None:
        """Go on with slots whose time overflowed so often."""
        self.whole()
        self._overflow = overflow
        self.usual = [POLARITY, SLOT, TIME_AT, overflow]

    def add(self, start: int, stop: int) -> None:
        """Slots from byte ``start`` to ``stop``."""
        if self._last == self._first or stop - start >= _LARGE:
            self.whole()
            self._first, self._last = start, stop
        else:
            after = self._last + stop - start
            self._data[self._last : after] = self._data[start:stop]
            self._last = after

    def add_alike(self, at: int, header: _Header, count: int) -> int:
        """Slots of ``count`` packets like that at ``at``; returns the byte after them."""
        self.whole()
        *_, capacity, number = header
        stride = HEADER.size + SLOT * capacity
        steps = stride, SLOT
        slots = np.ndarray((count, number), "<u8", self._data, at + HEADER.size, steps)
        self._found.append((slots, self._overflow))
        return at + count * stride

    def add_wide(self, slots: memoryview, slot: int, time_at: int) -> None:
        """Slots of ``slot`` bytes, of which those of the word and the time are kept."""
        self.whole()
        wide = np.frombuffer(slots, np.uint8).reshape(-1, slot)
        kept = np.hstack([wide[:, :4], wide[:, time_at : time_at + 4]])
        self._found.append((kept.view("<u8"), self._overflow))

    def whole(self) -> list[Piece]:
        """All pieces."""
        if self._last > self._first:
            shape = 1, (self._last - self._first) // SLOT
            slots = np.ndarray(shape, "<u8", self._data, self._first)
            self._found.append((slots, self._overflow))
            self._first = self._last = 0
        return self._found


def _alike(data: memoryview, header: _Header) -> int:
    """How many whole packets with the same header ``data`` starts with; none if too few."""
    stride = HEADER.size + SLOT * header[-2]
    count = len(data) // stride
    if count < _FEWEST_ALIKE:
        return 0
    headers = np.ndarray((count, _SHARED), np.uint8, data, 0, (stride, 1))
    if headers.tobytes() != data[:_SHARED].tobytes() * count:
        count = int((headers == headers[0]).all(axis=1).argmin())
    return count if count >= _FEWEST_ALIKE else 0
