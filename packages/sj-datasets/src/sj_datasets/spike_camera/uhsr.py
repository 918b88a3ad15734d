"""UHSR recordings: one low-light spike stream of a Caltech picture per ``.npz`` file.

A file holds ``spk`` uint8 [T, 250, 250] of 0 and 1 (T = 200 as published), ``label`` int64 and
``label_name`` str.  The picture fills the central 224 x 224 pixels, which all users cut out.
"""

from __future__ import annotations

import io
import os
import zipfile
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..atomic import atomic_path
from ..errors import FormatError
from .packing import as_bits

__all__ = ["UHSR_CROP", "UHSR_SIZE", "UhsrRecording", "read_uhsr", "write_uhsr"]

UHSR_SIZE = 250
UHSR_CROP = slice(13, 237)
_LIMITS = {"spk": 1 << 26, "label": 1 << 16, "label_name": 1 << 16}  # bytes of a member, unpacked


class UhsrRecording(NamedTuple):
    """Spikes ``[T, H, W]`` uint8, class number, name of the picture."""

    spikes: NDArray[np.uint8]
    label: int
    label_name: str


def read_uhsr(path: str | os.PathLike[str], *, crop: bool = True) -> UhsrRecording:
    """Read a UHSR file.

    Args:
        path: the ``.npz`` file.
        crop: cut out the picture, 224 x 224; ``False`` keeps all 250 x 250 pixels.

    Raises:
        FileNotFoundError: no such file.
        FormatError: not a UHSR file, corrupt, or larger unpacked than such a file can be.
    """
    source = Path(path)
    with source.open("rb") as file:
        spikes, label, label_name = _members(source, file)
    if spikes.ndim != 3 or spikes.shape[1:] != (UHSR_SIZE, UHSR_SIZE) or len(spikes) == 0:
        raise FormatError(source, f"spk must have shape [T, 250, 250], got {list(spikes.shape)}")
    if spikes.dtype not in (np.uint8, np.bool_) or (spikes.view(np.uint8) > 1).any():
        raise FormatError(source, f"spk must be uint8 of 0 and 1, got dtype {spikes.dtype}")
    if label.ndim or not np.issubdtype(label.dtype, np.integer):
        raise FormatError(source, f"label must be one integer, got {label.dtype} {label.shape}")
    if label_name.ndim or label_name.dtype.kind != "U":
        raise FormatError(source, f"label_name must be one string, got {label_name.dtype}")
    frames = spikes.view(np.uint8)
    if crop:
        frames = np.ascontiguousarray(frames[:, UHSR_CROP, UHSR_CROP])
    return UhsrRecording(frames, int(label), str(label_name))


def write_uhsr(
    path: str | os.PathLike[str], spikes: ArrayLike, label: int = 0, label_name: str = ""
) -> None:
    """Write spikes ``[T, 250, 250]`` of 0 and 1 as a UHSR file, compressed.

    Raises:
        ValueError: wrong shape, or a value other than 0 and 1.
    """
    frames = np.asarray(spikes)
    if frames.ndim != 3 or frames.shape[1:] != (UHSR_SIZE, UHSR_SIZE) or len(frames) == 0:
        raise ValueError(f"spikes must have shape [T, 250, 250], got {list(frames.shape)}")
    columns = {
        "spk": as_bits(frames).view(np.uint8),
        "label": np.int64(label),
        "label_name": np.str_(label_name),
    }
    # np.savez_compressed takes eight times as long for files a quarter smaller
    with (
        atomic_path(path) as temporary,
        zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
    ):
        for name, column in columns.items():
            with archive.open(f"{name}.npy", "w") as member:
                np.lib.format.write_array(member, np.asanyarray(column), allow_pickle=False)


def _members(path: Path, file: BinaryIO) -> list[NDArray[np.generic]]:
    """The arrays, refused before they are unpacked if they are too large, never unpickled."""
    try:
        with zipfile.ZipFile(file) as archive:
            for name, limit in _LIMITS.items():
                size = archive.getinfo(f"{name}.npy").file_size
                if size > limit:
                    raise FormatError(path, f"{name} unpacks to {size} bytes, allowed are {limit}")
            return [_parse_npy(archive.read(f"{name}.npy")) for name in _LIMITS]
    except FormatError:
        raise
    except Exception as error:  # broken archives and headers raise errors of a dozen types
        message = f"expected an .npz file with {', '.join(_LIMITS)}: {error}"
        raise FormatError(path, message) from error


def _parse_npy(data: bytes) -> NDArray[np.generic]:
    """An ``.npy`` file in memory; the header's claims are checked against its size first."""
    file = io.BytesIO(data)
    major, _ = np.lib.format.read_magic(file)
    read_header = {
        1: np.lib.format.read_array_header_1_0,
        2: np.lib.format.read_array_header_2_0,
    }.get(major)
    if read_header is None:
        raise ValueError(f"version {major} of the .npy format")
    shape, fortran, dtype = read_header(file)
    if dtype.hasobject:
        raise ValueError("it holds pickled objects")
    expected = dtype.itemsize * int(np.prod(shape, dtype=object))
    if expected != len(data) - file.tell():
        raise ValueError(f"its header promises {expected} bytes, {len(data) - file.tell()} follow")
    flat = np.frombuffer(bytearray(data), dtype, offset=file.tell(), count=int(np.prod(shape)))
    return flat.reshape(shape, order="F" if fortran else "C")
