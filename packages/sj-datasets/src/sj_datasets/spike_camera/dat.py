"""Reading, writing and joining whole ``.dat`` recordings; for parts see :class:`SpikeStream`."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from ..atomic import atomic_path
from .packing import pack_frames
from .stream import SpikeStream

__all__ = ["load_vidar_dat", "merge_vidar_dat", "save_vidar_dat", "spike_blocks"]

PathLike = str | os.PathLike[str]


def load_vidar_dat(
    filename: PathLike | Sequence[PathLike],
    height: int,
    width: int,
    remove_head: bool = False,
    version: str = "python",
    out_format: str = "array",
    *,
    dtype: DTypeLike = np.uint8,
    strict: bool = True,
) -> NDArray[np.generic]:
    """Read spike-camera recordings into an array ``[T, H, W]`` of 0 and 1.

    The result is uint8, a quarter of the float32 that other readers return; ask for
    ``dtype=np.float32`` where floats are needed.

    Args:
        filename: the recording, or several that follow each other in time.
        height: rows H.
        width: stored columns W, header columns included.
        remove_head: drop the last 16 columns (a 416-column file becomes 400 wide).
        version: ``"python"`` or ``"cpp"``; both names select the one decoder of this package.
        out_format: ``"array"``; tensors come from ``sz_models.load_vidar_dat``.
        dtype: type of the result.
        strict: refuse a file with an incomplete last frame; ``False`` drops it.

    Raises:
        FileNotFoundError: no such file.
        FormatError: empty or truncated file.
        ValueError: an unknown option, a wrong size, no file.
    """
    if version not in ("python", "cpp"):
        raise ValueError(f"version must be 'python' or 'cpp', got {version!r}")
    if out_format != "array":
        raise ValueError(
            f"out_format must be 'array', got {out_format!r}; for out_format='tensor' use "
            "sz_models.load_vidar_dat"
        )
    streams = _open(filename, height, width, remove_head=remove_head, strict=strict)
    if len(streams) == 1 and np.dtype(dtype) == np.uint8:
        return streams[0][:]
    n_frames = sum(map(len, streams))
    spikes = np.empty((n_frames, streams[0].height, streams[0].width), dtype)
    start = 0
    for block in itertools.chain.from_iterable(stream.chunks() for stream in streams):
        spikes[start : start + len(block)] = block
        start += len(block)
    return spikes


def save_vidar_dat(
    save_path: PathLike,
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
        for block in spike_blocks(spikes):
            frames = np.asarray(block)
            packed = pack_frames(frames, flipud=flipud)
            if size not in (None, frames.shape[1:]):
                raise ValueError(f"frames change size from {size} to {frames.shape[1:]}")
            size = frames.shape[1:]
            file.write(packed.data)
        if file.tell() == 0:
            raise ValueError(f"{save_path}: no frames to write")


def merge_vidar_dat(
    filename: PathLike,
    dat_files: Sequence[PathLike],
    height: int,
    width: int,
    remove_head: bool = False,
) -> NDArray[np.generic]:
    """Join recordings in time, write them to ``filename`` and return the spikes ``[T, H, W]``.

    ``remove_head`` leaves the 16 header columns out of the new file too.  Recordings larger than
    memory are joined by ``save_vidar_dat(filename, blocks)`` with an iterator over the blocks of
    their :class:`SpikeStream`.  Errors are those of :func:`load_vidar_dat` and
    :func:`save_vidar_dat`.
    """
    spikes = load_vidar_dat(dat_files, height, width, remove_head)
    save_vidar_dat(filename, spikes)
    return spikes


def spike_blocks(spikes: ArrayLike | SpikeStream | Iterable[ArrayLike]) -> Iterator[ArrayLike]:
    """Spikes ``[T, H, W]`` in blocks of about 16 million pixels; iterators as they come.

    Raises:
        ValueError: an array that is not 3-D.
    """
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


def _open(
    filename: PathLike | Sequence[PathLike],
    height: int,
    width: int,
    *,
    remove_head: bool,
    strict: bool,
) -> list[SpikeStream]:
    files = [filename] if isinstance(filename, (str, os.PathLike)) else list(filename)
    if not files:
        raise ValueError("no recording given: the list of files is empty")
    return [SpikeStream(f, height, width, remove_head=remove_head, strict=strict) for f in files]
