"""Spike trains of artificial cochleas: the HDF5 layout of SHD and SSC.

    spikes/times    [S] float16 arrays, seconds
    spikes/units    [S] uint16 arrays, cochlea channel 0..699, as long as the times
    labels          [S] class index
    extra/keys      class names
    extra/speaker   [S] speaker index

S samples.  Layout: Cramer et al., "The Heidelberg Spiking Data Sets for the Systematic Evaluation
of Spiking Neural Networks", 2020.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..atomic import atomic_path
from ..errors import FormatError
from ._vlen import HeapFile, VlenColumn, vlen_column

if TYPE_CHECKING:
    import h5py

__all__ = ["SPIKE_TRAIN_UNITS", "SpikeTrainFile", "write_spike_trains"]

SPIKE_TRAIN_UNITS = 700
"""Channels of the artificial cochlea."""


class _Handles(NamedTuple):
    file: h5py.File
    heap: HeapFile
    times: h5py.Dataset | VlenColumn
    units: h5py.Dataset | VlenColumn
    process: int

    def close(self) -> None:
        self.file.close()
        self.heap.close()


class SpikeTrainFile:
    """The samples of one SHD or SSC file, read one at a time.

    The file is opened when the first sample is read and once more in every other process, so the
    object can be handed to loader workers.

    Args:
        path: ``.h5`` file.
        units: number of channels; larger unit numbers are refused.

    Raises:
        FileNotFoundError: the file does not exist.
        FormatError: it is not a file of this layout, or is cut short.

    Example:
        >>> trains = SpikeTrainFile("shd_test.h5")            # doctest: +SKIP
        >>> t, x = trains[0]                                  # doctest: +SKIP
        >>> t.dtype, x.dtype, trains.labels[0]                # doctest: +SKIP
        (dtype('float16'), dtype('uint16'), 3)
    """

    labels: NDArray[np.int64]
    speakers: NDArray[np.int64] | None
    keys: tuple[str, ...] | None

    def __init__(self, path: str | os.PathLike[str], *, units: int = SPIKE_TRAIN_UNITS) -> None:
        self.path = Path(path)
        self.units = units
        self._handles: _Handles | None = None
        handles = self._opened()
        try:
            with _damage(self.path, "labels or extras cannot be read"):
                self.labels = _whole_numbers(self.path, handles.file, "labels")
                self.speakers, self.keys = _extras(self.path, handles.file)
            self._check_length("spikes/times", len(handles.times))
        finally:
            self.close()
        if self.speakers is not None:
            self._check_length("extra/speaker", len(self.speakers))

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[NDArray[np.floating[Any]], NDArray[np.integer[Any]]]:
        """Times in seconds and units of sample ``index``, both ``[N]``, in the file's types.

        Raises:
            IndexError: there is no such sample.
            FormatError: the sample is damaged.
        """
        count = len(self)
        if not -count <= index < count:
            raise IndexError(f"sample {index} of {self.path}, which has {count}")
        index %= count
        handles = self._opened()
        with _damage(self.path, f"sample {index} cannot be read"):
            t, x = handles.times[index], handles.units[index]
        return self._checked(index, np.asarray(t), np.asarray(x))

    def close(self) -> None:
        """Close the file; reading another sample opens it again."""
        handles, self._handles = self._handles, None
        if handles is not None:
            handles.close()

    def __enter__(self) -> SpikeTrainFile:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_handles": None}

    def __repr__(self) -> str:
        return f"SpikeTrainFile({str(self.path)!r}, samples={len(self)})"

    def _opened(self) -> _Handles:
        handles = self._handles
        if handles is None or handles.process != os.getpid():
            # a forked process must not share the file position of its parent
            self.close()
            handles = self._handles = _open(self.path)
        return handles

    def _check_length(self, name: str, count: int) -> None:
        if count != len(self.labels):
            raise FormatError(
                self.path, f"{name} has {count} samples, labels has {len(self.labels)}"
            )

    def _checked(
        self, index: int, t: NDArray[Any], x: NDArray[Any]
    ) -> tuple[NDArray[Any], NDArray[Any]]:
        if t.shape != x.shape or t.ndim != 1:
            raise FormatError(
                self.path, f"sample {index} has {t.size} spike times and {x.size} units"
            )
        if not np.isfinite(t).all():
            raise FormatError(self.path, f"sample {index} has a spike time that is not finite")
        if x.size and not 0 <= int(x.min()) <= int(x.max()) < self.units:
            wrong = int(x.min()) if x.min() < 0 else int(x.max())
            raise FormatError(
                self.path, f"sample {index} has unit {wrong}, expected 0..{self.units - 1}"
            )
        return t, x


def write_spike_trains(
    path: str | os.PathLike[str],
    trains: Sequence[tuple[ArrayLike, ArrayLike]],
    labels: ArrayLike,
    *,
    speakers: ArrayLike | None = None,
    keys: Sequence[str] = (),
) -> None:
    """Write samples in the published layout; the inverse of :class:`SpikeTrainFile`.

    Args:
        path: ``.h5`` file, replaced as a whole.
        trains: per sample the times in seconds (rounded to float16) and units, both ``[N]``.
        labels: class index of each sample.
        speakers: speaker index of each sample; zeros if not given.
        keys: class names.

    Raises:
        ValueError: lengths differ, or a number does not fit its type.
    """
    import h5py

    count = len(trains)
    label_row = _uint16("labels", labels, count)
    speaker_row = _uint16("speakers", np.zeros(count, int) if speakers is None else speakers, count)
    rows = [_train(i, *train) for i, train in enumerate(trains)]
    with atomic_path(path) as temporary, h5py.File(temporary, "w") as file:
        times = file.create_dataset("spikes/times", (count,), h5py.vlen_dtype(np.float16))
        units = file.create_dataset("spikes/units", (count,), h5py.vlen_dtype(np.uint16))
        for i, (t, x) in enumerate(rows):
            times[i], units[i] = t, x
        file["labels"] = label_row
        file["extra/speaker"] = speaker_row
        file["extra/keys"] = np.array([key.encode() for key in keys] or [], dtype="S")


def _open(path: Path) -> _Handles:
    import h5py

    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    heap = HeapFile(path)
    file = None
    try:
        with _damage(path, "not a complete HDF5 file"):
            file = h5py.File(path, "r")
            columns = [
                vlen_column(heap, dataset, element) or dataset
                for dataset, element in _spike_datasets(path, file)
            ]
            return _Handles(file, heap, columns[0], columns[1], os.getpid())
    except BaseException:
        heap.close()
        if file is not None:
            file.close()
        raise


@contextlib.contextmanager
def _damage(path: Path, what: str) -> Iterator[None]:
    """Turn what the library raises for damaged files into one error."""
    try:
        yield
    except (FormatError, PermissionError):
        raise
    except (OSError, RuntimeError, ValueError, KeyError, TypeError, MemoryError) as error:
        raise FormatError(path, f"{what} ({error})") from error


def _dataset(path: Path, file: h5py.File, name: str) -> h5py.Dataset:
    import h5py

    found = file.get(name)
    if not isinstance(found, h5py.Dataset):
        raise FormatError(path, f"no dataset {name!r}; is this a file of SHD or SSC?")
    if found.ndim != 1:
        raise FormatError(path, f"{name} must be one-dimensional, got {list(found.shape)}")
    # a damaged length must not ask for more memory than the file could fill
    if len(found) > path.stat().st_size:
        raise FormatError(path, f"{name} claims {len(found)} samples, more than the file holds")
    return found


def _spike_datasets(path: Path, file: h5py.File) -> Iterator[tuple[h5py.Dataset, np.dtype[Any]]]:
    import h5py

    times, units = (_dataset(path, file, f"spikes/{name}") for name in ("times", "units"))
    if len(times) != len(units):
        raise FormatError(path, f"{len(times)} trains of times but {len(units)} of units")
    for dataset, kinds, words in ((times, "f", "real numbers"), (units, "ui", "whole numbers")):
        element = h5py.check_vlen_dtype(dataset.dtype)
        if not isinstance(element, np.dtype) or element.kind not in kinds:
            raise FormatError(
                path, f"{dataset.name} must hold arrays of {words}, got {dataset.dtype}"
            )
        yield dataset, element


def _whole_numbers(path: Path, file: h5py.File, name: str) -> NDArray[np.int64]:
    dataset = _dataset(path, file, name)
    if dataset.dtype.kind not in "ui":
        raise FormatError(path, f"{name} must hold whole numbers, got {dataset.dtype}")
    return np.asarray(dataset[:]).astype(np.int64)


def _extras(path: Path, file: h5py.File) -> tuple[NDArray[np.int64] | None, tuple[str, ...] | None]:
    speakers = keys = None
    if "extra/speaker" in file:
        speakers = _whole_numbers(path, file, "extra/speaker")
    if "extra/keys" in file:
        values = _dataset(path, file, "extra/keys")[:]
        keys = tuple(v.decode(errors="replace") if isinstance(v, bytes) else str(v) for v in values)
    return speakers, keys


def _uint16(name: str, values: ArrayLike, count: int) -> NDArray[np.uint16]:
    array = np.asarray(values)
    if array.shape != (count,):
        raise ValueError(
            f"{name} must have shape [{count}], one per train, got {list(array.shape)}"
        )
    return _narrowed(name, array)


def _narrowed(name: str, array: NDArray[Any]) -> NDArray[np.uint16]:
    if array.size and (array.dtype.kind not in "ui" or array.min() < 0 or array.max() > 65535):
        raise ValueError(f"{name} must hold whole numbers 0..65535, got {array.dtype}")
    return array.astype(np.uint16)


def _train(
    index: int, t: ArrayLike, x: ArrayLike
) -> tuple[NDArray[np.float16], NDArray[np.uint16]]:
    times, units = np.asarray(t), np.asarray(x)
    if times.shape != units.shape or times.ndim != 1:
        raise ValueError(
            f"train {index}: times and units must have equal shape [N], "
            f"got {list(times.shape)} and {list(units.shape)}"
        )
    if times.size and not (np.abs(times) <= np.finfo(np.float16).max).all():
        raise ValueError(f"train {index}: a time does not fit float16 seconds")
    return times.astype(np.float16), _narrowed(f"units of train {index}", units)
