"""Synthetic copies of datasets, in the publishers' formats, so that everything runs offline."""

from __future__ import annotations

import contextlib
import inspect
import json
import logging
import math
import shutil
import warnings
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from .atomic import atomic_path
from .errors import FormatError
from .events import Events
from .locking import folder_lock
from .registry import dataset_class

__all__ = ["MARKER", "SyntheticDataWarning", "prepare", "settle_fake", "synthetic_events"]

_log = logging.getLogger(__name__)

MARKER = "FAKE.json"
_SEED = 0
_VERSION = 1


class SyntheticDataWarning(UserWarning):
    """The samples are synthetic; results on them mean nothing."""


def synthetic_events(
    label: int,
    *,
    n_events: int,
    sensor_size: tuple[int, int],
    duration: int,
    rng: np.random.Generator,
) -> Events:
    """Events of a spot that circles the sensor, where and how fast being a matter of ``label``.

    Place, direction, turns and size differ between labels, start and events between draws, so a
    network can learn the labels and no two samples are equal.

    Args:
        label: class, 0 or more.
        n_events: number of events N, at least 2.
        sensor_size: rows and columns (H, W).
        duration: time from the first event, at 0, to the last, at ``duration - 1``.
        rng: source of randomness.

    Raises:
        ValueError: an argument is out of range.
    """
    if label < 0 or n_events < 2 or duration < 2:
        raise ValueError(
            "synthetic_events needs label >= 0, n_events >= 2 and duration >= 2, got "
            f"{label}, {n_events} and {duration}"
        )
    rows, columns = sensor_size
    t = np.sort(rng.integers(0, duration, n_events))
    t[0], t[-1] = 0, duration - 1
    # the golden angle spreads any number of labels evenly over a disc
    ring, side = math.sqrt((label % 16 + 0.5) / 16), label * 2.399963
    turns = (1 + label % 3) * (-1) ** label
    angle = 2 * math.pi * (turns * t / duration + rng.uniform(0, 0.15)) + label
    spread = rng.normal(0, 0.03 + 0.01 * (label % 4), (2, n_events))
    x = 0.5 + 0.3 * ring * math.cos(side) + 0.12 * np.cos(angle) + spread[0]
    y = 0.5 + 0.3 * ring * math.sin(side) + 0.12 * np.sin(angle) + spread[1]
    # brighter ahead of the spot, darker behind it
    ahead = -spread[0] * np.sin(angle) + spread[1] * np.cos(angle)
    p = (ahead * np.sign(turns) > 0) ^ (rng.random(n_events) < 0.05)
    return Events.from_arrays(
        t=t,
        x=np.clip(x * columns, 0, columns - 1).astype(np.uint16),
        y=np.clip(y * rows, 0, rows - 1).astype(np.uint16),
        p=p,
        sensor_size=(rows, columns),
    )


class FakeWriter(Protocol):
    """What a dataset class needs for a synthetic copy."""

    @classmethod
    def dataset_name(cls) -> str: ...

    @classmethod
    def write_fake(cls, download_root: Path, rng: np.random.Generator) -> None: ...


def settle_fake(dataset: type[FakeWriter], root: Path, fake: bool, *, stacklevel: int = 3) -> bool:
    """Whether ``root`` holds a synthetic copy; writes one first if asked to.

    Warns about synthetic data.

    Raises:
        FileExistsError: a synthetic copy is asked for where something else lies.
        ValueError: the copy is one of another dataset.
    """
    name = dataset.dataset_name()
    if not fake and _read_marker(root) is None:
        return False
    if not _is_written(root, name):  # asked for, or begun by a process that was stopped
        root.mkdir(parents=True, exist_ok=True)
        with folder_lock(root):
            _write(dataset, root)
    warnings.warn(
        f"{root} holds a synthetic copy of {name}; results on it mean nothing",
        SyntheticDataWarning,
        stacklevel=stacklevel,
    )
    return True


def _is_written(root: Path, name: str) -> bool:
    marker = _read_marker(root)
    if marker is None:
        return False
    if marker.get("dataset") != name:
        raise ValueError(
            f"{root} holds a synthetic copy of {marker.get('dataset')}, not of {name}; "
            "choose another root"
        )
    return marker.get("complete") is True


def _read_marker(root: Path) -> dict[str, Any] | None:
    path = root / MARKER
    try:
        marker = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except ValueError as error:
        raise FormatError(path, f"damaged ({error}); delete {root}") from error
    if not isinstance(marker, dict):
        raise FormatError(path, f"an object expected, got {marker!r}; delete {root}")
    return marker


def _write(dataset: type[FakeWriter], root: Path) -> None:
    name = dataset.dataset_name()
    if _is_written(root, name):  # by the process that held the lock before
        return
    others = sorted(path.name for path in root.iterdir() if not path.name.startswith("."))
    if MARKER not in others and others:
        raise FileExistsError(
            f"{root} is not empty ({', '.join(others[:5])}): a synthetic copy of {name} needs a "
            "folder of its own; choose another root, or drop fake=True to use what is there"
        )
    # marked before anything is written: a half-written copy is never taken for real data
    marker: dict[str, Any] = {"dataset": name, "seed": _SEED, "version": _VERSION}
    _write_marker(root, {**marker, "complete": False})
    download = root / "download"
    shutil.rmtree(download, ignore_errors=True)
    download.mkdir()
    _log.info("writing a synthetic copy of %s into %s", name, download)
    dataset.write_fake(download, np.random.default_rng(_SEED))
    _write_marker(root, {**marker, "complete": True})


def _write_marker(root: Path, marker: dict[str, Any]) -> None:
    with atomic_path(root / MARKER) as temporary:
        temporary.write_text(json.dumps(marker) + "\n", encoding="utf-8")


def prepare(
    dataset: str | type[Any],
    root: str | Path,
    *,
    fake: bool = False,
    **arguments: Any,
) -> list[Any]:
    """Make everything that the dataset needs on disk, for all its splits.

    Args:
        dataset: name or class.
        root: its folder; made if it is missing.
        fake: write a synthetic copy first.
        **arguments: of the dataset's constructor; naming a split prepares that one alone.

    Returns:
        One dataset per split that was prepared.

    Raises:
        ValueError: there is no such dataset.
        TypeError: the constructor knows no such argument.
    """
    chosen = dataset_class(dataset) if isinstance(dataset, str) else dataset
    splits = chosen.split_arguments() if hasattr(chosen, "split_arguments") else [{}]
    if any(set(split) & set(arguments) for split in splits):
        splits = [{}]
    if fake:
        arguments["fake"] = True
    elif "download" in inspect.signature(chosen).parameters:
        arguments.setdefault("download", True)
    made = not Path(root).exists()
    Path(root).mkdir(parents=True, exist_ok=True)
    try:
        # by keyword: root is not everywhere the first argument
        return [chosen(root=root, **split, **arguments) for split in splits]
    except BaseException:
        if made:
            with contextlib.suppress(OSError):  # something is in it that serves the next run
                Path(root).rmdir()
        raise
