"""Bit layout of spike-camera (Vidar) ``.dat`` frames.

A frame of H x W pixels takes H*W/8 bytes.  Pixel (y, x) is bit p % 8 (least significant first) of
byte p // 8 with p = y' * W + x, where y' = H - 1 - y: the file holds the image upside down.

T frames, H rows, W columns.
"""

from __future__ import annotations

import operator

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["as_bits", "frame_nbytes", "pack_frames", "unpack_frames"]


def frame_nbytes(height: int, width: int) -> int:
    """Bytes of one packed frame.

    Raises:
        ValueError: a size is not positive, or H*W is not a multiple of 8 (the format has no
            padding rule, so such frames have no defined bytes).
    """
    height, width = operator.index(height), operator.index(width)
    if height <= 0 or width <= 0:
        raise ValueError(f"height and width must be positive, got {height}x{width}")
    if height * width % 8:
        raise ValueError(
            f"{height}x{width} frames do not fill whole bytes: height*width must be a multiple "
            "of 8; crop or pad the frames"
        )
    return height * width // 8


def unpack_frames(
    packed: NDArray[np.uint8],
    height: int,
    width: int,
    *,
    flipud: bool = True,
    columns: int | None = None,
) -> NDArray[np.uint8]:
    """Packed bytes ``[T, H*W/8]`` -> spikes ``[T, H, W]``, uint8 of 0 and 1, C-contiguous.

    Args:
        packed: frames as stored.
        height: rows H.
        width: stored columns W.
        flipud: the file holds the rows bottom-up.
        columns: keep only so many columns of the left; ``None`` keeps all.
    """
    columns = width if columns is None else columns
    packed = np.ascontiguousarray(packed)
    if len(packed) == 0:
        return np.empty((0, height, columns), np.uint8)
    if width % 8 == 0 and columns % 8 == 0:
        # Flipping byte rows before unpacking moves 8 times less memory than flipping pixels.
        rows = _flipped_rows(packed, height, width) if flipud else packed
        if columns < width:
            rows = rows.reshape(-1, height, width // 8)[:, :, : columns // 8]
        pixels = np.unpackbits(np.ascontiguousarray(rows).reshape(-1), bitorder="little")
        return pixels.reshape(-1, height, columns)
    pixels = np.unpackbits(packed.reshape(-1), bitorder="little").reshape(-1, height, width)
    return np.ascontiguousarray((pixels[:, ::-1] if flipud else pixels)[:, :, :columns])


def _flipped_rows(packed: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """Byte rows in reverse order; a row moves as one element, twice as fast as byte by byte."""
    rows = packed.reshape(-1).view(f"V{width // 8}").reshape(-1, height)
    return np.ascontiguousarray(rows[:, ::-1]).view(np.uint8)


def pack_frames(spikes: ArrayLike, *, flipud: bool = True) -> NDArray[np.uint8]:
    """Spikes ``[T, H, W]`` of 0 and 1 (any numeric type) -> packed bytes ``[T, H*W/8]``.

    Raises:
        ValueError: not 3-D, H*W not a multiple of 8, or a value other than 0 and 1.
        TypeError: the values are not numbers.
    """
    frames = np.asarray(spikes)
    if frames.ndim != 3:
        raise ValueError(f"spikes must have shape [T, H, W], got {list(frames.shape)}")
    n_frames, height, width = frames.shape
    nbytes = frame_nbytes(height, width)
    bits = as_bits(frames)
    if flipud and width % 8:
        bits = bits[:, ::-1]
    flat = np.ascontiguousarray(bits).reshape(-1)
    packed = np.packbits(flat, bitorder="little").reshape(n_frames, nbytes)
    if flipud and width % 8 == 0 and n_frames:
        packed = _flipped_rows(packed, height, width)
    return packed.reshape(n_frames, nbytes)


def as_bits(frames: NDArray[np.generic]) -> NDArray[np.bool_]:
    """Spikes ``[T, H, W]`` of any numeric type as booleans.

    Raises:
        ValueError: a value other than 0 and 1.
        TypeError: the values are not numbers.
    """
    if frames.dtype == np.bool_:
        return frames.view(np.bool_)
    if frames.dtype == np.uint8 and frames.size and frames.max() <= 1:
        return np.ascontiguousarray(frames).view(np.bool_)
    if not np.issubdtype(frames.dtype, np.number):
        raise TypeError(f"spikes must be numbers or booleans, got dtype {frames.dtype}")
    bits = frames == 1
    wrong = ~bits & (frames != 0)
    if wrong.any():
        t, y, x = (int(i) for i in np.argwhere(wrong)[0])
        raise ValueError(
            f"spikes must be 0 or 1, got {frames[t, y, x]} at frame {t}, row {y}, column {x}"
        )
    return bits
