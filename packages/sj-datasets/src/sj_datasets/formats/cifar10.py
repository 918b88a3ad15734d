"""CIFAR-10 in its binary version: records of one label and one image.

byte 0         label, 0..9
byte 1-1024    red, row after row of 32 x 32 pixels
byte 1025-     green, then blue
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..atomic import atomic_path
from ..errors import FormatError

__all__ = ["read_cifar10", "write_cifar10"]

_SIDE = 32
_RECORD = 1 + 3 * _SIDE * _SIDE
_CLASSES = 10


def read_cifar10(path: str | os.PathLike[str]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Images ``[N, 32, 32, 3]`` and labels ``[N]`` of one file.

    Raises:
        FileNotFoundError: the file does not exist.
        FormatError: the file is cut short, or a label is above 9.
    """
    data = np.frombuffer(Path(path).read_bytes(), np.uint8)
    count, rest = divmod(len(data), _RECORD)
    if rest:
        raise FormatError(
            path, f"expected records of {_RECORD} bytes, {rest} bytes are left", count * _RECORD
        )
    records = data.reshape(count, _RECORD)
    labels = records[:, 0].astype(np.int64)
    if count and labels.max() >= _CLASSES:
        wrong = int(labels.argmax())
        raise FormatError(path, f"label {labels[wrong]}, expected 0..9", wrong * _RECORD)
    images = records[:, 1:].reshape(count, 3, _SIDE, _SIDE).transpose(0, 2, 3, 1)
    return np.ascontiguousarray(images), labels


def write_cifar10(
    path: str | os.PathLike[str], images: NDArray[np.uint8], labels: NDArray[np.integer]
) -> None:
    """Write images ``[N, 32, 32, 3]`` (uint8) and labels ``[N]``; replaces the file as a whole.

    Raises:
        ValueError: a shape, a type or a label does not fit.
    """
    images, labels = np.asarray(images), np.asarray(labels)
    if images.shape != (len(labels), _SIDE, _SIDE, 3) or images.dtype != np.uint8:
        raise ValueError(
            f"expected {len(labels)} uint8 images [32, 32, 3], one per label, got "
            f"{images.dtype} {list(images.shape)}"
        )
    if len(labels) and not 0 <= labels.min() <= labels.max() < _CLASSES:
        raise ValueError(f"labels must lie in 0..9, got {labels.min()}..{labels.max()}")
    records = np.empty((len(labels), _RECORD), np.uint8)
    records[:, 0] = labels
    records[:, 1:] = images.transpose(0, 3, 1, 2).reshape(len(labels), _RECORD - 1)
    with atomic_path(path) as temporary:
        temporary.write_bytes(records.tobytes())
