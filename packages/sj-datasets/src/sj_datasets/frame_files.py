"""Files of frames: a ``.npz`` with the array ``frames`` ``[T, 2, H, W]``, as the notes use them."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .atomic import atomic_path
from .errors import FormatError
from .events import EventColumns
from .frames import integrate_events_by_fixed_duration, integrate_events_by_fixed_frames_number

__all__ = [
    "create_same_directory_structure",
    "integrate_events_file_to_frames_file_by_fixed_duration",
    "integrate_events_file_to_frames_file_by_fixed_frames_number",
    "load_npz_frames",
    "np_savez",
]

_log = logging.getLogger(__name__)

PathLike = str | os.PathLike[str]
Loader = Callable[[PathLike], EventColumns]


def np_savez(file: PathLike, **arrays: ArrayLike) -> None:
    """Write arrays to a compressed ``.npz``; the file is whole or not there at all.

    Raises:
        FileNotFoundError: the folder does not exist.
    """
    path = Path(file)
    if path.suffix != ".npz":
        path = path.with_name(f"{path.name}.npz")
    columns: dict[str, Any] = {name: np.asarray(array) for name, array in arrays.items()}
    with atomic_path(path) as temporary:
        np.savez_compressed(temporary, **columns)


def load_npz_frames(file_name: PathLike) -> NDArray[np.float32]:
    """Frames of a ``.npz`` file as float32.

    Raises:
        FileNotFoundError: no such file.
        FormatError: it is no ``.npz``, or holds no array of numbers called ``frames``.
    """
    try:
        # numpy leaves a file that it cannot read open, unless it is ours
        with open(file_name, "rb") as file, np.load(file, allow_pickle=False) as arrays:
            return arrays["frames"].astype(np.float32)
    except FileNotFoundError:
        raise
    except Exception as error:  # zip, zlib and numpy each have errors of their own
        raise FormatError(file_name, f"expected a .npz with the array 'frames': {error}") from error


def integrate_events_file_to_frames_file_by_fixed_frames_number(
    loader: Loader,
    events_np_file: PathLike,
    output_dir: PathLike,
    split_by: str,
    frames_num: int,
    H: int,
    W: int,
    print_save: bool = False,
) -> None:
    """Integrate a file of events into a file of frames of the same name in another folder.

    Args:
        loader: gives the events of a file.
        events_np_file: the file.
        output_dir: where the frames go, a folder that exists.
        split_by: ``"number"`` or ``"time"``.
        frames_num: T.
        H: rows.
        W: columns.
        print_save: log where the frames went.

    Raises:
        FileNotFoundError: the folder does not exist.
        ValueError: see :func:`sj_datasets.integrate_events_by_fixed_frames_number`.
    """
    events = loader(events_np_file)
    frames = integrate_events_by_fixed_frames_number(events, split_by, frames_num, H, W)
    _save(Path(output_dir) / f"{Path(events_np_file).stem}.npz", frames, print_save)


def integrate_events_file_to_frames_file_by_fixed_duration(
    loader: Loader,
    events_np_file: PathLike,
    output_dir: PathLike,
    duration: int,
    H: int,
    W: int,
    print_save: bool = False,
) -> int:
    """Integrate a file of events into ``<name>_<T>.npz`` in another folder; returns T.

    Args:
        loader: gives the events of a file.
        events_np_file: the file.
        output_dir: where the frames go, a folder that exists.
        duration: of one frame, in the unit of the events' times.
        H: rows.
        W: columns.
        print_save: log where the frames went.

    Raises:
        FileNotFoundError: the folder does not exist.
        ValueError: see :func:`sj_datasets.integrate_events_by_fixed_duration`.
    """
    frames = integrate_events_by_fixed_duration(loader(events_np_file), duration, H, W)
    name = f"{Path(events_np_file).stem}_{len(frames)}.npz"
    _save(Path(output_dir) / name, frames, print_save)
    return len(frames)


def _save(path: Path, frames: NDArray[np.integer], print_save: bool) -> None:
    np_savez(path, frames=frames)
    _log.log(logging.INFO if print_save else logging.DEBUG, "frames saved to %s", path)


def create_same_directory_structure(source_dir: PathLike, target_dir: PathLike) -> None:
    """Make the folders below ``source_dir``, but not their files, below ``target_dir``.

    Folders that are there already are left as they are.

    Raises:
        FileNotFoundError: there is no ``source_dir``.
        NotADirectoryError: it is a file.
    """
    source, target = Path(source_dir), Path(target_dir)
    for entry in sorted(source.iterdir()):
        if entry.is_dir():
            (target / entry.name).mkdir(parents=True, exist_ok=True)
            create_same_directory_structure(entry, target / entry.name)
