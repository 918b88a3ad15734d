"""NavGesture: gestures that steer a telephone, seen by an event camera on it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import ClassVar

import numpy as np

from .errors import FormatError
from .events import Events
from .fake import synthetic_events
from .folder import Conversion
from .formats.navgesture import read_navgesture, write_navgesture
from .layouts import extract_nested, files_below, zipped
from .split_folders import UnsplitFolder

__all__ = ["NAVGestureSit", "NAVGestureWalk"]

_GESTURES = ("do", "ho", "le", "ri", "se", "up")


class _NAVGesture(UnsplitFolder):
    splits: ClassVar[tuple[str, ...]] = ()
    _archive: ClassVar[str]

    @classmethod
    def get_H_W(cls) -> tuple[int, int]:
        return 240, 304

    @classmethod
    def extract_downloaded_files(cls, download_root: Path, extract_root: Path) -> None:
        extract_nested(download_root / cls._archive, extract_root)

    @classmethod
    def conversions(cls, extract_root: Path) -> Iterable[Conversion]:
        for source in files_below(extract_root, ".dat"):
            fields = source.stem.split("_")
            if len(fields) < 2 or fields[1] not in _GESTURES:
                raise FormatError(
                    source, f"the second field of the name must be one of {', '.join(_GESTURES)}"
                )
            yield Conversion(source, (f"{fields[1]}/{source.stem}",))

    @classmethod
    def convert(cls, conversion: Conversion) -> Iterable[Events]:
        yield read_navgesture(conversion.source)

    @classmethod
    def write_fake(cls, download_root: Path, rng: np.random.Generator) -> None:
        with zipped(download_root / cls._archive) as outer:
            for user in ("user01", "user02"):
                with zipped(outer / f"{user}.zip") as folder:
                    (folder / user).mkdir()
                    for label, gesture in enumerate(_GESTURES):
                        events = synthetic_events(
                            label, n_events=500, sensor_size=cls.get_H_W(), duration=2_000_000,
                            rng=rng,
                        )  # fmt: skip
                        write_navgesture(folder / user / f"{user}_{gesture}_01_td.dat", events)


class NAVGestureWalk(_NAVGesture):
    """Gestures of one hand while the other holds the camera and the user walks about.

    240 x 304 pixels (H x W), 6 classes: ``le`` ``ri`` ``up`` ``do`` (swipes), ``ho`` (home) and
    ``se`` (select), the second field of a file's name. No published split. The publisher's host is
    gone; place the archive by hand.

    Maro, Ieng, Benosman: Event-based gesture recognition with dynamic background suppression using
    smartphone computational capabilities, Frontiers in Neuroscience 14:275, 2020.

    Args:
        root: folder of this dataset.
        data_type: ``"event"`` or ``"frame"``.
        **options: see :class:`NeuromorphicDatasetFolder`, as the arguments before.
    """

    _archive: ClassVar[str] = "navgesture-walk.zip"


class NAVGestureSit(_NAVGesture):
    """The gestures of :class:`NAVGestureWalk`, by users who sit.

    240 x 304 pixels (H x W), 6 classes, no published split. The publisher's host is gone; place
    the archive by hand.

    Args:
        root: folder of this dataset.
        data_type: ``"event"`` or ``"frame"``.
        **options: see :class:`NeuromorphicDatasetFolder`, as the arguments before.
    """

    _archive: ClassVar[str] = "navgesture-sit.zip"
