"""Reading and writing whole ``.dat`` recordings; for parts of one see :class:`SpikeStream`."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from ..atomic import atomic_path
from .packing import pack_frames
from .stream import SpikeStream

__all__ = ["load_vidar_dat", "save_vidar_dat"]


def load_vidar_dat(
    filename: str | os.PathLike[str],
    height: int,
    width: int,
    remove_head: bool = False,
    version: str = "python",
    out_format: str = "array",
    *,
    dtype: DTypeLike = np.uint8,
    strict: bool = True,
) -> NDArray[np.generic]:
    """Read a spike-camera recording into an array ``[T, H, W]`` of 0 and 1.

    The result is uint8, a quarter of the float32 that other readers return; ask for
    ``dtype=np.float32`` where floats are needed.

    Args:
        filename: the recording.
        height: rows H.
        width: stored columns W, header columns included.
        remove_head: drop the last 16 columns (a 416-column file becomes 400 wide).
        version: ``"python"`` or ``"cpp"``; both names select the one decoder of this package.
        out_format: ``"array"``; tensors come from ``sz_models.load_vidar_dat``.
        dtype: type of the result.
        strict: refuse a file with an incomplete last frame; ``False`` drops it.

    Raises:
        FileNotFoundError: no such file.
        ValueError: empty or truncated file, or an unknown option.
    """
    if version not in ("python", "cpp"):
        raise ValueError(f"version must be 'python' or 'cpp', got {version!r}")
    if out_format != "array":
        raise ValueError(
            f"out_format must be 'array', got {out_format!r}; for out_format='tensor' use "
            "sz_models.load_vidar_dat"
        )
    stream = SpikeStream(filename, height, width, remove_head=remove_head, strict=strict)
    return stream[:].astype(dtype, copy=False)


def save_vidar_dat(
    save_path: str | os.PathLike[str],
    spikes: ArrayLike | SpikeStream | Iterable[ArrayLike],
    flipud: bool = True,
) -> None:
    """Write spikes ``[T, H, W]`` of 0 and 1 as a recording; ``save_path`` is replaced at the end.

    Args:
        save_path: the recording to write.
        spikes: an array, a :class:`SpikeStream`, or an iterator over blocks ``[n, H, W]`` such as
            :func:`iter_spikes`, which is written as it comes.
        flipud: store rows bottom-up, as the camera does and the reader expects.

    Raises:
        ValueError: wrong shape, H*W not a multiple of 8, a value other than 0 and 1, no frames.
        OSError: the folder is missing or not writable.
    """
    with atomic_path(save_path) as temporary, open(temporary, "wb") as file:
        size: tuple[int, ...] | None = None
        for block in _blocks(spikes):
            frames = np.asarray(block)
            packed = pack_frames(frames, flipud=flipud)
            if size not in (None, frames.shape[1:]):
                raise ValueError(f"frames change size from {size} to {frames.shape[1:]}")
            size = frames.shape[1:]
            packed.tofile(file)
        if file.tell() == 0:
            raise ValueError(f"{save_path}: no frames to write")


def _blocks(spikes: ArrayLike | SpikeStream | Iterable[ArrayLike]) -> Iterator[ArrayLike]:
    if isinstance(spikes, SpikeStream):
        yield from spikes.chunks()
    elif isinstance(spikes, Iterator):
        yield from spikes
    else:
        frames = np.asarray(spikes)
        if frames.ndim != 3:
            raise ValueError(f"spikes must have shape [T, H, W], got {list(frames.shape)}")
        step = max(1, (1 << 24) // max(1, frames[0].size if len(frames) else 1))
        for start in range(0, len(frames), step):
            yield frames[start : start + step]
