"""Raw files of the 1000 x 1000 spike cameras that are read out over PCIe.

The file is a run of half rows of 64 bytes: 500 pixels, least significant bit first, and 12 bits
that say where they belong.  The last two bytes, a little-endian word, hold the last four pixels
(bits 0-3), the line 1..500 (bits 4-13) and the channel 0..3 (bits 14-15).  Two half rows make one
stored row of 1024 bits, so the words take columns 500..511 and 1012..1023 (1000..1011 once the
first are gone).  A frame is 1000 rows = 2000 half rows; the first is line 500 of channel 0, the
last is line 500 of channel 3.  Rows are stored top down.

A recording may begin and end inside a frame; such parts are skipped.

This follows the published description of SpikeCV.  No real recording was at hand, so the reader is
tested only on files from :func:`write_pcie`, which lists the channels' lines in the order that
agrees with the first and last half row: 500..1 of channels 0 and 1, then 1..500 of 2 and 3.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..atomic import atomic_path
from ..errors import FormatError
from .dat import spike_blocks
from .packing import as_bits

__all__ = ["PCIE_SIZE", "count_pcie_frames", "read_pcie", "write_pcie"]

PCIE_SIZE = 1000
_LINES = 500
_HALF_ROW = 64
_FRAME = 2 * PCIE_SIZE * _HALF_ROW
_LAST_CHANNEL = 3


def read_pcie(
    path: str | os.PathLike[str], start: int = 0, stop: int | None = None
) -> NDArray[np.uint8]:
    """Read frames ``start..stop-1`` as spikes ``[T, 1000, 1000]``, uint8 of 0 and 1.

    Args:
        path: the recording.
        start: first frame, counted from the first whole one; negative counts from the end.
        stop: end of the range, ``None`` for all; a frame takes 1 MB decoded.

    Raises:
        FileNotFoundError: no such file.
        FormatError: no whole frame, or frames that do not follow each other without gaps.
    """
    source = Path(path)
    offset, n_frames = _find_frames(source)
    first, last, _ = slice(start, stop).indices(n_frames)
    count = max(0, last - first)
    begin = offset + first * _FRAME
    packed = np.fromfile(source, np.uint8, count * _FRAME, offset=begin)
    if packed.size < count * _FRAME:
        raise FormatError(source, "the file became shorter while it was read", begin + packed.size)
    half_rows = packed.reshape(count, 2 * PCIE_SIZE, _HALF_ROW)
    _check_frames(source, half_rows, begin)
    spikes = np.empty((count, PCIE_SIZE, 2, _LINES), np.uint8)
    for frame, rows in zip(spikes, half_rows, strict=True):
        bits = np.unpackbits(rows.reshape(-1), bitorder="little")
        frame[:] = bits.reshape(PCIE_SIZE, 2, 8 * _HALF_ROW)[:, :, :_LINES]
    return spikes.reshape(count, PCIE_SIZE, PCIE_SIZE)


def count_pcie_frames(path: str | os.PathLike[str]) -> int:
    """Number of whole frames in a recording; errors as in :func:`read_pcie`."""
    return _find_frames(Path(path))[1]


def write_pcie(path: str | os.PathLike[str], spikes: ArrayLike) -> None:
    """Write spikes ``[T, 1000, 1000]`` of 0 and 1 (array, stream or iterator over blocks).

    Raises:
        ValueError: wrong shape, a value other than 0 and 1, no frames.
    """
    words = _position_words()
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        for block in spike_blocks(spikes):
            for frame in np.asarray(block):
                if frame.shape != (PCIE_SIZE, PCIE_SIZE):
                    raise ValueError(f"frames must be 1000x1000, got {frame.shape}")
                bits = np.zeros((2 * PCIE_SIZE, 8 * _HALF_ROW), np.bool_)
                bits[:, :_LINES] = as_bits(frame[None])[0].reshape(2 * PCIE_SIZE, _LINES)
                half_rows = np.packbits(bits.reshape(-1), bitorder="little").reshape(-1, _HALF_ROW)
                half_rows[:, -2:] |= words.view(np.uint8).reshape(-1, 2)
                file.write(half_rows.data)
        if file.tell() == 0:
            raise ValueError(f"{path}: no frames to write")


def _position_words() -> NDArray[np.uint16]:
    """Lines and channels of a frame's half rows, as in the files."""
    down, up = np.arange(_LINES, 0, -1), np.arange(1, _LINES + 1)
    lines = np.concatenate([np.repeat(down, 2), np.repeat(up, 2)])
    channels = np.concatenate([np.tile([0, 1], _LINES), np.tile([2, _LAST_CHANNEL], _LINES)])
    return (channels << 14 | lines << 4).astype("<u2")


def _positions(half_rows: NDArray[np.uint8]) -> tuple[NDArray[np.integer], NDArray[np.integer]]:
    """Line and channel that the last word of each run of bytes tells."""
    words = np.ascontiguousarray(half_rows[..., -2:]).view("<u2")[..., 0]
    return words >> 4 & 0x3FF, words >> 14


def _whole(half_rows: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Which frames ``[T, 2000, 64]`` begin, go on and end as frames do."""
    line, channel = _positions(half_rows)
    begins = (line[:, 0] == _LINES) & (channel[:, 0] == 0)
    ends = (line[:, -1] == _LINES) & (channel[:, -1] == _LAST_CHANNEL)
    return begins & ends & ((line >= 1) & (line <= _LINES)).all(axis=1)


def _find_frames(path: Path) -> tuple[int, int]:
    """Offset of the first whole frame, and the number of frames from there on.

    Pixels may look like a first half row, so a candidate counts only if a whole frame follows.
    """
    size = path.stat().st_size
    head = np.fromfile(path, np.uint8, 2 * _FRAME)
    chunks = head[: head.size // 16 * 16].reshape(-1, 16)
    line, channel = _positions(chunks)
    for chunk in np.flatnonzero((line == _LINES) & (channel == 0)):
        offset = 16 * (int(chunk) + 1) - _HALF_ROW
        frame = head[offset : offset + _FRAME] if offset >= 0 else head[:0]
        if frame.size == _FRAME and _whole(frame.reshape(1, 2 * PCIE_SIZE, _HALF_ROW))[0]:
            return offset, (size - offset) // _FRAME
    raise FormatError(
        path, f"no whole 1000x1000 frame of {_FRAME} bytes in the first {head.size} bytes"
    )


def _check_frames(path: Path, half_rows: NDArray[np.uint8], begin: int) -> None:
    broken = np.flatnonzero(~_whole(half_rows))
    if broken.size:
        at = begin + int(broken[0]) * _FRAME
        raise FormatError(path, f"frame {broken[0]} of the range is not whole: data were lost", at)
