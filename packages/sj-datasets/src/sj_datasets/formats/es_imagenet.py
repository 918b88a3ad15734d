"""ES-ImageNet: ``.npz`` with the arrays pos and neg, each ``[n, 3]`` of rows (y, x, t).

The two are merged in order of t, brighter events first within one t, each array in its own order.
Times are steps 1..8 of the synthetic camera, not microseconds. Events lie in 224 x 224 pixels of
frames of 256 x 256.
"""

from __future__ import annotations

import os

import numpy as np
from numpy.typing import NDArray

from ..atomic import atomic_path
from ..errors import FormatError
from ..events import EventColumns, Events
from ._binary import as_events, check_order, read_file
from ._npy import read_npz_arrays
from .columns import events_of_columns, whole_numbers

__all__ = ["read_es_imagenet", "write_es_imagenet"]

_SENSOR_SIZE = (256, 256)


def read_es_imagenet(path: str | os.PathLike[str]) -> Events:
    """Events of an ES-ImageNet sample in order of t.

    Raises:
        FileNotFoundError: no such file.
        FormatError: no whole ``.npz``, arrays of another shape, values that are no whole numbers,
            or an event outside 256 x 256 pixels.
    """
    if not read_file(path, 2).startswith(b"PK"):
        raise FormatError(path, "expected a .npz file with the arrays pos and neg", 0)
    arrays = read_npz_arrays(path, ("pos", "neg"))
    rows = {name: _rows(path, name, array) for name, array in arrays.items()}
    p = np.repeat([1, 0], [len(rows["pos"]), len(rows["neg"])])
    merged = np.concatenate([rows["pos"], rows["neg"]])
    order = np.argsort(merged[:, 2], kind="stable")
    y, x, t = merged[order].T
    return events_of_columns(path, {"t": t, "x": x, "y": y, "p": p[order]}, _SENSOR_SIZE)


def _rows(path: str | os.PathLike[str], name: str, array: NDArray) -> NDArray[np.int64]:
    if array.size == 0:
        return np.empty((0, 3), np.int64)
    if array.ndim != 2 or array.shape[1] != 3:
        raise FormatError(
            path, f"expected {name!r} of shape [n, 3], got {list(array.shape)} of {array.dtype}"
        )
    return whole_numbers(path, name, array).astype(np.int64)


def write_es_imagenet(path: str | os.PathLike[str], events: EventColumns) -> None:
    """Write a sample; ``path``, named ``.npz``, is replaced at the end.

    Events of one t are stored brighter ones first: the format keeps no order between the two.

    Raises:
        ValueError: events not in order of t, negative t, or x or y above 255.
        OSError: the folder is missing or not writable.
    """
    events = as_events(events)
    check_order(events["t"], "ES-ImageNet")
    rows = np.stack([events["y"], events["x"], events["t"]], axis=1)
    if len(rows) and (rows.min() < 0 or rows[:, :2].max() > 255):
        raise ValueError("ES-ImageNet holds t from 0 and x, y up to 255; change the events")
    rows = rows.astype(np.min_scalar_type(int(rows.max(initial=0))))
    brighter = events["p"] == 1
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        np.savez(file, pos=rows[brighter], neg=rows[~brighter])
