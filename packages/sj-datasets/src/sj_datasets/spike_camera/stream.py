"""Random access to packed spike streams, in a file of any size or in memory.

T frames, H rows, W columns; spikes are uint8 of 0 and 1.
"""

from __future__ import annotations

import operator
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import FormatError
from .packing import frame_nbytes, pack_frames, unpack_frames

__all__ = ["SpikeStream"]

HEAD_COLUMNS = 16
_CHUNK_PIXELS = 1 << 24


class SpikeStream:
    """A ``[T, H, W]`` stream of 0/1 spikes kept packed, eight pixels to the byte.

    Behaves like a read-only array along time: ``len(stream)``, ``stream.shape``, ``stream[150]``
    (one frame), ``stream[130:171]`` (a block), ``stream[130:171, 10:20, :50]`` (a part of it),
    ``for block in stream.chunks()``.  A file is read only where frames are asked for, so memory
    holds these and no more, and a stream can be pickled to worker processes as its path.

    Args:
        filename: a ``.dat`` recording.
        height: rows H.
        width: stored columns; with ``remove_head`` they include the 16 header columns.
        remove_head: drop the last 16 columns of every frame.
        strict: refuse a file that is not a whole number of frames; ``False`` drops its tail.

    Raises:
        FileNotFoundError: no such file.
        FormatError: empty or truncated file.
        ValueError: wrong frame size.

    Example:
        >>> import numpy as np
        >>> stream = SpikeStream.from_array(np.ones((5, 4, 8), np.uint8))
        >>> stream.shape, stream.nbytes, int(stream[1:3].sum())
        ((5, 4, 8), 20, 64)
    """

    def __init__(
        self,
        filename: str | os.PathLike[str],
        height: int,
        width: int,
        *,
        remove_head: bool = False,
        strict: bool = True,
    ) -> None:
        self._path: Path | None = Path(filename)
        self._memory: NDArray[np.uint8] | None = None
        self._set_geometry(height, width, remove_head=remove_head)
        self._n_frames = _count_frames(self._path, height, width, self._nbytes, strict=strict)

    @classmethod
    def from_array(cls, spikes: ArrayLike) -> SpikeStream:
        """Pack an array ``[T, H, W]`` of 0 and 1 into memory, one bit per pixel."""
        frames = np.asarray(spikes)
        packed = pack_frames(frames)
        stream = cls.__new__(cls)
        stream._path, stream._memory = None, packed
        stream._set_geometry(frames.shape[1], frames.shape[2], remove_head=False)
        stream._n_frames = len(packed)
        return stream

    def _set_geometry(self, height: int, width: int, *, remove_head: bool) -> None:
        self._nbytes = frame_nbytes(height, width)
        self._stored_width = operator.index(width)
        self.height = operator.index(height)
        self.width = self._stored_width - HEAD_COLUMNS if remove_head else self._stored_width
        if self.width <= 0:
            raise ValueError(
                f"remove_head drops {HEAD_COLUMNS} columns, but the width is {width}: give the "
                "stored width, header included"
            )

    @property
    def shape(self) -> tuple[int, int, int]:
        return self._n_frames, self.height, self.width

    @property
    def ndim(self) -> int:
        return 3

    @property
    def dtype(self) -> np.dtype[np.uint8]:
        return np.dtype(np.uint8)

    @property
    def nbytes(self) -> int:
        """Packed size in bytes."""
        return self._n_frames * self._nbytes

    @property
    def filename(self) -> Path | None:
        """The recording, or ``None`` for a stream in memory."""
        return self._path

    def __len__(self) -> int:
        return self._n_frames

    def __repr__(self) -> str:
        source = "memory" if self._path is None else str(self._path)
        return f"SpikeStream({source}, shape={self.shape})"

    def __getitem__(self, index: int | slice | tuple[Any, ...]) -> NDArray[np.uint8]:
        """Decode one frame ``[H, W]``, a range of frames ``[n, H, W]``, or a part of these."""
        if isinstance(index, tuple):
            block, inner = self[index[0]], index[1:]
            return block[inner if block.ndim == 2 else (slice(None), *inner)]
        if isinstance(index, slice):
            return self._decode(range(*index.indices(self._n_frames)))
        try:
            frame = operator.index(index)
        except TypeError:
            raise TypeError(
                f"a SpikeStream is indexed by a frame number or a slice, got {index!r}"
            ) from None
        if not -self._n_frames <= frame < self._n_frames:
            raise IndexError(f"frame {frame} is outside the {self._n_frames} frames of {self!r}")
        frame %= self._n_frames
        return self._decode(range(frame, frame + 1))[0]

    def __iter__(self) -> Iterator[NDArray[np.uint8]]:
        for block in self.chunks():
            yield from block

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        if copy is False:
            raise ValueError("a packed stream cannot become an array without a copy")
        return self[:] if dtype is None else self[:].astype(dtype, copy=False)

    def chunks(self, n_frames: int | None = None) -> Iterator[NDArray[np.uint8]]:
        """Decode the stream in order, in blocks ``[n, H, W]`` of at most ``n_frames`` frames.

        Args:
            n_frames: block length; by default about 16 million pixels (16 MB decoded).
        """
        if n_frames is None:
            n_frames = max(1, _CHUNK_PIXELS // (self.height * self._stored_width))
        if n_frames < 1:
            raise ValueError(f"n_frames must be at least 1, got {n_frames}")
        for start in range(0, self._n_frames, n_frames):
            yield self[start : start + n_frames]

    def packed(self, start: int = 0, stop: int | None = None) -> NDArray[np.uint8]:
        """Packed bytes ``[n, H*W/8]`` of frames start..stop-1, mapped or viewed, not copied."""
        start, stop, _ = slice(start, stop).indices(self._n_frames)
        count = max(0, stop - start)
        if self._memory is not None:
            return self._memory[start : start + count]
        if count == 0:
            return np.empty((0, self._nbytes), np.uint8)
        assert self._path is not None
        try:
            return np.memmap(self._path, np.uint8, "r", start * self._nbytes, (count, self._nbytes))
        except ValueError as error:
            raise self._shrunk() from error

    def _decode(self, frames: range) -> NDArray[np.uint8]:
        packed = self._read(frames) if self._memory is None else self._memory[_as_slice(frames)]
        return unpack_frames(packed, self.height, self._stored_width, columns=self.width)

    def _read(self, frames: range) -> NDArray[np.uint8]:
        """Packed bytes of frames of the file.

        Read, not mapped: a file that is cut meanwhile is an error instead of a crash.
        """
        assert self._path is not None
        ascending = frames if frames.step > 0 else frames[::-1]
        packed = np.empty((len(frames), self._nbytes), np.uint8)
        runs = [packed] if ascending.step == 1 else list(packed[:, None])
        with open(self._path, "rb") as file:
            for start, run in zip(ascending, runs, strict=False):
                file.seek(start * self._nbytes)
                if file.readinto(run.data) < run.nbytes:
                    raise self._shrunk()
        return packed if frames.step > 0 else packed[::-1]

    def _shrunk(self) -> FormatError:
        assert self._path is not None
        return FormatError(self._path, "the file became shorter after it was opened")


def _as_slice(frames: range) -> slice:
    return slice(frames.start, frames.stop if frames.stop >= 0 else None, frames.step)


def _count_frames(path: Path, height: int, width: int, nbytes: int, *, strict: bool) -> int:
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder; give a .dat file")
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file")
    size = path.stat().st_size
    if size == 0:
        raise FormatError(path, f"the file is empty; a {height}x{width} frame takes {nbytes} bytes")
    n_frames, rest = divmod(size, nbytes)
    if n_frames == 0:
        raise FormatError(
            path,
            f"{size} bytes are less than one {height}x{width} frame ({nbytes} bytes); check height "
            "and width",
            size,
        )
    if rest and strict:
        raise FormatError(
            path,
            f"{size} bytes are not a whole number of {height}x{width} frames of {nbytes} bytes: "
            f"{rest} bytes remain after {n_frames} frames; check height and width, or drop the "
            "incomplete frame with strict=False",
            n_frames * nbytes,
        )
    return n_frames
