"""Images of frames larger than memory, made tile by tile without seams.

A tile is computed with a border ("halo") of real spikes as wide as the network looks, which is cut
off again.  At the edges of the whole image nothing is added, so the network fills up there as it
always does, and every pixel is what one pass over the whole image gives.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import product

import torch
from torch import Tensor

__all__ = ["check_tile", "tiled", "told_out_of_memory"]

# What torch says when the memory of a CPU is used up.
_CPU_MESSAGE = "allocate memory"


def check_tile(tile: object) -> tuple[int, int]:
    """Rows and columns of a tile.

    Raises:
        TypeError: not two whole numbers.
        ValueError: one is smaller than 1.
    """
    if (
        not isinstance(tile, (tuple, list))
        or len(tile) != 2
        or not all(isinstance(side, int) and not isinstance(side, bool) for side in tile)
    ):
        raise TypeError(f"tile must be (rows, columns) or None, got {tile!r}")
    rows, columns = tile
    if rows < 1 or columns < 1:
        raise ValueError(f"tile must have at least 1 row and 1 column, got {rows} x {columns}")
    return rows, columns


def tiled(
    call: Callable[[Tensor], Tensor],
    x: Tensor,
    *,
    tile: tuple[int, int],
    halo: int,
    multiple: int = 1,
) -> Tensor:
    """``call(x)`` by tiles; only one tile with its halo is in the network at a time.

    Exact up to the rounding of convolutions, which may depend on the size of their input.

    Args:
        call: ``[B, C, h, w]`` -> ``[B, K, h, w]``; pixels depend on those up to ``halo`` away.
        x: ``[B, C, H, W]``, sides multiples of ``multiple``.
        tile: rows and columns of a tile, rounded up to ``multiple``.
        halo: pixels, rounded up to ``multiple``.
        multiple: tiles begin at multiples of this, where the network works on a coarser grid.

    Returns:
        ``[B, K, H, W]`` on the device of ``x``.

    Raises:
        TypeError: see :func:`check_tile`.
        ValueError: a tile without pixels, or a network that changes the size.
    """
    rows, columns = (_round_up(side, multiple) for side in check_tile(tile))
    halo = _round_up(halo, multiple)
    height, width = x.shape[-2:]
    out: Tensor | None = None
    for (core, outer), (core_x, outer_x) in product(
        _spans(height, rows, halo), _spans(width, columns, halo)
    ):
        piece = x[..., outer, outer_x]
        image = call(piece)
        if image.shape[-2:] != piece.shape[-2:]:
            raise ValueError(
                f"tiles need a network that keeps the size, but {list(piece.shape[-2:])} became "
                f"{list(image.shape[-2:])}"
            )
        if out is None:
            out = torch.empty(
                (*image.shape[:-2], height, width), dtype=image.dtype, device=x.device
            )
        out[..., core, core_x] = image[..., _inside(core, outer), _inside(core_x, outer_x)]
    return call(x) if out is None else out


@contextmanager
def told_out_of_memory(name: str, size: tuple[int, ...], advice: str) -> Iterator[None]:
    """Turn torch's various errors into one that says what was too large and what helps.

    Raises:
        MemoryError: the memory of the device is used up.
    """
    try:
        yield
    except RuntimeError as error:
        if not isinstance(error, torch.OutOfMemoryError) and _CPU_MESSAGE not in str(error):
            raise
        shape = " x ".join(map(str, size))
        raise MemoryError(f"{name} ran out of memory on an input of {shape}: {advice}") from error


def _spans(size: int, step: int, halo: int) -> list[tuple[slice, slice]]:
    """Parts of a side, each with the part that it is computed from."""
    return [
        (
            slice(start, min(start + step, size)),
            slice(max(0, start - halo), min(start + step + halo, size)),
        )
        for start in range(0, size, step)
    ]


def _inside(core: slice, outer: slice) -> slice:
    return slice(core.start - outer.start, core.stop - outer.start)


def _round_up(value: int, multiple: int) -> int:
    return -(-value // multiple) * multiple
