"""What a dataset folder is asked for, checked before anything is touched."""

from __future__ import annotations

import copy
import operator
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, TypedDict

import numpy as np
from numpy.typing import DTypeLike

__all__ = ["BuildOptions", "Conversion", "FolderOptions", "NeuromorphicDatasetConfig"]

_RESERVED = ("download", "extract", "events_np", "events_h5")


@dataclass(frozen=True)
class Conversion:
    """One downloaded file and the samples that come out of it.

    Args:
        source: the extracted file, in the format of the publisher.
        outputs: paths of its samples below ``events_np``, with ``/`` and without suffix:
            ``"train/3/user01_led_0"``, or ``"cat/file_7"`` where a dataset has no split.
        link: the source is one sample that ``load_events`` reads as it is; it is linked.
        detail: anything small that ``convert`` needs beside the file, such as its label rows.
    """

    source: Path
    outputs: tuple[str, ...]
    link: bool = False
    detail: object = None


class FolderOptions(TypedDict, total=False):
    """Keywords that every dataset folder takes beside the documented arguments.

    fake: write a small synthetic copy in the publisher's format into an empty ``root``.
    cache: keep frames on disk (default); ``False`` integrates at every access.
    dtype: type of the frames, float32 by default.
    workers: processes that build; ``None`` chooses, 0 builds in this process.
    progress: show progress bars on a terminal.
    """

    fake: bool
    cache: bool
    dtype: DTypeLike
    workers: int | None
    progress: bool


@dataclass(frozen=True)
class BuildOptions:
    """:class:`FolderOptions` with every default filled in; unknown names are a TypeError."""

    fake: bool = False
    cache: bool = True
    dtype: DTypeLike = np.float32
    workers: int | None = None
    progress: bool = True

    def __post_init__(self) -> None:
        dtype = np.dtype(self.dtype)
        if dtype.kind not in "uif":
            raise ValueError(f"dtype must be an integer or floating type, got {dtype}")
        object.__setattr__(self, "dtype", dtype)
        if self.workers is not None and _whole("workers", self.workers) < 0:
            raise ValueError(f"workers must be 0 or more, got {self.workers}")


@dataclass(frozen=True)
class NeuromorphicDatasetConfig:
    """How a dataset is prepared and loaded; checked when it is made, then unchangeable.

    Args:
        root: folder that holds ``download``, ``extract``, ``events_np`` and the frame folders.
        train: training or test split; ``None`` where a dataset has no such split.
        data_type: ``"event"`` or ``"frame"``.
        frames_number: frames per sample T, cut as ``split_by`` says.
        split_by: ``"number"`` for equal counts of events, ``"time"`` for equal times.
        duration: length of a frame in the time unit of the events.
        custom_integrate_function: ``f(events, H, W) -> frames``.
        custom_integrated_frames_dir_name: folder of these frames, else the function's name.
        transform: applied to each sample.
        target_transform: applied to each label.

    Raises:
        ValueError: a field has a value it cannot have, or the frames asked for are ambiguous.
        TypeError: the integrate function cannot be called.
    """

    root: Path
    train: bool | None = None
    data_type: str = "event"
    frames_number: int | None = None
    split_by: str | None = None
    duration: int | None = None
    custom_integrate_function: Callable[..., Any] | None = None
    custom_integrated_frames_dir_name: str | None = None
    transform: Callable[[Any], Any] | None = None
    target_transform: Callable[[Any], Any] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "root", Path(self.root))
        if self.train not in (True, False, None):
            raise ValueError(f"train must be True, False or None, got {self.train!r}")
        if self.data_type not in ("event", "frame"):
            raise ValueError(f"data_type must be 'event' or 'frame', got {self.data_type!r}")
        if self.data_type == "frame":
            self._check_frames()

    def without_functions(self, *, integrate: bool) -> Self:
        """A copy without the transforms and, if ``integrate``, without the integrate function."""
        twin = copy.copy(self)
        for name in ("transform", "target_transform", "custom_integrate_function")[: 2 + integrate]:
            object.__setattr__(twin, name, None)  # frozen, and no longer complete enough to check
        return twin

    def _check_frames(self) -> None:
        given = [
            name
            for name in ("frames_number", "duration", "custom_integrate_function")
            if getattr(self, name) is not None
        ]
        if len(given) != 1:
            raise ValueError(
                "data_type='frame' needs exactly one of frames_number, duration and "
                f"custom_integrate_function, got {' and '.join(given) or 'none of them'}"
            )
        if self.frames_number is not None:
            self._set_positive("frames_number", self.frames_number)
            if self.split_by not in ("time", "number"):
                raise ValueError(f"split_by must be 'time' or 'number', got {self.split_by!r}")
        elif self.duration is not None:
            self._set_positive("duration", self.duration)
        else:
            self._check_custom()

    def _set_positive(self, name: str, value: object) -> None:
        number = _whole(name, value)
        if number <= 0:
            raise ValueError(f"{name} must be a positive integer, got {value!r}")
        object.__setattr__(self, name, number)

    def _check_custom(self) -> None:
        if not callable(self.custom_integrate_function):
            raise TypeError(
                "custom_integrate_function must be a function f(events, H, W), got "
                f"{self.custom_integrate_function!r}"
            )
        name = self.custom_integrated_frames_dir_name
        if name is not None and (
            not name or name.startswith(".") or Path(name).name != name or name in _RESERVED
        ):
            raise ValueError(
                "custom_integrated_frames_dir_name must be the plain name of a folder of its "
                f"own, got {name!r}"
            )


def _whole(name: str, value: object) -> int:
    try:
        if isinstance(value, bool):
            raise TypeError
        return operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        raise ValueError(f"{name} must be an integer, got {value!r}") from None
