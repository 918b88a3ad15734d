"""Nearest spikes before and after every frame, as small integers.

In a block of L frames, frame i has the positions i + 1 from the front and L - i from the back; 0
stands for "no spike".  Either way "the nearest spike" is a running maximum.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["Nearest", "block_keys", "position_dtype"]

_FEWEST_KEYS = 64
_CACHE_BYTES = 5 << 19


def position_dtype(half: int) -> np.dtype[np.unsignedinteger]:
    """Smallest type for the positions of a block with windows of half a width ``half``."""
    for dtype in (np.uint8, np.uint16):
        if 2 * half + _FEWEST_KEYS < np.iinfo(dtype).max:
            return np.dtype(dtype)
    return np.dtype(np.uint32)


def block_keys(half: int) -> tuple[int, int]:
    """Key frames and pixels of a block whose scratch memory stays in the cache."""
    dtype = position_dtype(half)
    # A block scans 2 * half frames more than it has key frames: more keys waste less.
    keys = min(max(_FEWEST_KEYS, half), np.iinfo(dtype).max - 1 - 2 * half)
    pixels = max(1024, _CACHE_BYTES // ((keys + 2 * half) * dtype.itemsize))
    return keys, pixels


class Nearest:
    """Positions in the blocks of one sweep; scratch memory is kept from block to block."""

    def __init__(self, half: int) -> None:
        self.dtype = position_dtype(half)
        self._scratch = [np.empty(0, self.dtype) for _ in range(3)]

    def last(self, frames: NDArray[np.uint8], first: int, stop: int) -> NDArray[np.unsignedinteger]:
        """Front position of the last spike in [first, i], for every frame i in [first, stop)."""
        found = self.array(0, (stop - first, frames.shape[1]))
        positions = np.arange(first + 1, stop + 1, dtype=self.dtype)[:, None]
        np.multiply(frames[first:stop], positions, out=found)
        for i in range(1, len(found)):
            np.maximum(found[i], found[i - 1], out=found[i])
        return found

    def next(self, frames: NDArray[np.uint8], first: int) -> NDArray[np.unsignedinteger]:
        """Back position of the first spike at or after i, for every frame i >= first."""
        found = self.array(1, (len(frames) - first, frames.shape[1]))
        positions = np.arange(len(found), 0, -1, dtype=self.dtype)[:, None]
        np.multiply(frames[first:], positions, out=found)
        for i in range(len(found) - 2, -1, -1):
            np.maximum(found[i], found[i + 1], out=found[i])
        return found

    def array(self, index: int, shape: tuple[int, int]) -> NDArray[np.unsignedinteger]:
        """Scratch array number ``index``, contents undefined."""
        size = shape[0] * shape[1]
        if self._scratch[index].size < size:
            self._scratch[index] = np.empty(size, self.dtype)
        return self._scratch[index][:size].reshape(shape)

    def select(
        self,
        values: NDArray[np.unsignedinteger],
        missing: NDArray[np.bool_],
        fallback: int,
        scratch: NDArray[np.unsignedinteger],
    ) -> NDArray[np.unsignedinteger]:
        """``values``, none above ``fallback``, with ``fallback`` put where they are missing.

        Works in place, and overwrites ``scratch``.
        """
        # Maximum and minimum run at full vector width; a masked copy does not.
        np.multiply(missing.view(np.uint8), self.dtype.type(fallback), out=scratch)
        np.maximum(values, scratch, out=values)
        np.minimum(values, np.full(values.shape[1], fallback, self.dtype), out=values)
        return values
