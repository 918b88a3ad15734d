"""A folder tree of samples: which are there, whether all are, and whose they are."""

from __future__ import annotations

import contextlib
import logging
import os
import re
from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, overload

from .manifest import MANIFEST, Manifest

__all__ = ["SampleTree", "Samples", "list_samples", "without_count"]

_log = logging.getLogger(__name__)

_SUFFIXES = (".npy", ".npz")
_COUNT = re.compile(r"_\d+(?=\.\w+$)")
_WHOLE = "*"  # in place of a split: the tree was made in one go


class SampleTree:
    """One tree below a dataset's root, e.g. ``events_np``.

    Args:
        folder: the tree.
        wanted: what its manifest has to say, but for the splits.
    """

    def __init__(self, folder: Path, wanted: Manifest) -> None:
        self.folder = folder
        self._wanted = wanted
        self._raw = wanted.what == {"kind": "events"}

    def at(self, folder: Path) -> SampleTree:
        """The same tree while it lies elsewhere."""
        return SampleTree(folder, self._wanted)

    def is_complete(self, split: str) -> bool:
        """Whether all samples of the split are there.

        Trees without a manifest come from elsewhere and are taken as they are.

        Raises:
            RuntimeError: another library was interrupted while it built the tree, or samples of a
                tree that was made in one go are gone.
            ValueError: the tree was made in another way than wanted.
        """
        marker = self.folder.with_name(f"{self.folder.name}.building")
        if marker.exists():
            raise RuntimeError(
                f"{self.folder} is unfinished: {marker} says that another program was stopped "
                "while it built it; delete both"
                + (", and extract beside them, which may be unfinished too" if self._raw else "")
            )
        there = Manifest.read(self.folder)
        if there is None:
            foreign = _has_files(self.folder)
            if foreign:
                _log.warning("%s has no %s: using it as it is, unchecked", self.folder, MANIFEST)
            return foreign
        if not there.splits and not _has_files(self.folder):
            return False  # nothing was made, so it does not matter how: the function had an error
        there.check_same(self._wanted, self.folder)
        if _WHOLE in there.splits:
            return self._is_whole(there.splits[_WHOLE])
        return split in there.splits and _count(self.folder / split) >= there.splits[split]

    def _is_whole(self, expected: int) -> bool:
        count = _count(self.folder)
        if count < expected:  # what was made in one go cannot be completed
            raise RuntimeError(
                f"{self.folder} had {expected} samples, and has {count}; delete it to have it "
                "built again"
            )
        return True

    def _fresh(self) -> Manifest:
        from . import __version__  # here, for this module is imported while the package is

        return replace(self._wanted, library=__version__)

    def begin(self) -> None:
        """Make the tree, marked as unfinished, and clear away what a killed process left.

        Raises:
            OSError: the folder cannot be made; the message names it.
        """
        self.folder.mkdir(exist_ok=True)
        there = Manifest.read(self.folder)
        if there is None or not there.splits:
            self._fresh().write(self.folder)
        for path in _files(self.folder):
            if path.name.startswith(".") and path.name.endswith(_SUFFIXES):
                # a worker of the killed process may be about to finish this very file
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(path)

    def finish(self, split: str, *, whole: bool = False) -> None:
        """Note that all samples of the split are there (``whole``: all of every split)."""
        there = Manifest.read(self.folder) or self._fresh()
        key = _WHOLE if whole else split
        count = _count(self.folder if whole else self.folder / split)
        replace(there, splits={**there.splits, key: count}).write(self.folder)


def _files(folder: str | Path) -> Iterator[os.DirEntry[str]]:
    """Every file below ``folder``; asks the system once per folder, not once per file."""
    with os.scandir(folder) as entries:
        for entry in entries:
            # the suffix first: whether a link is a folder costs a look at its target
            if not entry.name.endswith(_SUFFIXES) and entry.is_dir():
                yield from _files(entry.path)
            else:
                yield entry


def _is_sample(name: str) -> bool:
    return name.endswith(_SUFFIXES) and not name.startswith(".")


def _count(folder: Path) -> int:
    return sum(_is_sample(file.name) for file in _files(folder)) if folder.is_dir() else 0


def _has_files(folder: Path) -> bool:
    return folder.is_dir() and any(_is_sample(file.name) for file in _files(folder))


class Samples(Sequence[tuple[Path, int]]):
    """Pairs (path, label) of a tree, kept as names so that copies and pickles stay small.

    Args:
        folder: the tree.
        names: path of every sample below the tree, with ``/``.
        labels: label of every sample.
    """

    def __init__(self, folder: Path, names: Sequence[str], labels: Sequence[int]) -> None:
        self.folder = folder
        self._names = names
        self.labels = labels

    def subset(self, indices: Sequence[int]) -> Samples:
        """The samples at these indices, in this order."""
        names, labels = self._names, self.labels
        return Samples(self.folder, [names[i] for i in indices], [labels[i] for i in indices])

    def __len__(self) -> int:
        return len(self._names)

    @overload
    def __getitem__(self, index: int) -> tuple[Path, int]: ...

    @overload
    def __getitem__(self, index: slice) -> Samples: ...

    def __getitem__(self, index: int | slice) -> tuple[Path, int] | Samples:
        if isinstance(index, slice):
            return self.subset(range(len(self))[index])
        return self.folder / self._names[index], self.labels[index]

    def __eq__(self, other: object) -> bool:
        if isinstance(other, (Samples, list)):
            return len(self) == len(other) and all(
                mine == theirs for mine, theirs in zip(self, other, strict=True)
            )
        return NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Samples({len(self)} in {self.folder})"

    def __reduce__(self) -> tuple[Callable[..., Samples], tuple[Any, ...]]:
        labels = array("q", self.labels).tobytes()
        return _unpack, (self.folder, "\n".join(self._names), labels)


def _unpack(folder: Path, names: str, labels: bytes) -> Samples:
    numbers = array("q")
    numbers.frombytes(labels)
    return Samples(folder, names.split("\n") if names else [], numbers.tolist())


def without_count(name: str) -> str:
    """``<sample>_<frames>.npy``, as files of frames of a fixed duration are named, less frames."""
    return _COUNT.sub("", name)


def list_samples(
    folder: Path, extensions: tuple[str, ...], *, counts_in_names: bool = False
) -> tuple[list[str], Samples]:
    """Classes of a split folder, sorted by name as text, and its samples in that order.

    Args:
        folder: the split folder.
        extensions: suffixes of samples.
        counts_in_names: names end in a number of frames that the order must not depend on, so
            that sample i is the same one as in other trees.

    Raises:
        FileNotFoundError: the folder or its class folders are missing.
    """
    if not folder.is_dir():
        raise FileNotFoundError(
            f"{folder} does not exist; the tree above it has no such split. Delete the tree to "
            "have it built again"
        )
    with os.scandir(folder) as entries:
        found = (e.name for e in entries if not e.name.startswith(".") and e.is_dir())
        classes = sorted(found)
    if not classes:
        raise FileNotFoundError(f"{folder} holds no class folders")
    names: list[str] = []
    labels: list[int] = []
    for label, name in enumerate(classes):
        below = _names_below(folder / name, name, extensions)
        below = sorted(below, key=without_count if counts_in_names else None)
        names += below
        labels += [label] * len(below)
    # absolute: samples are found from wherever the program goes later
    return classes, Samples(folder.absolute(), names, labels)


def _names_below(folder: Path, prefix: str, extensions: tuple[str, ...]) -> Iterator[str]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.name.endswith(extensions):
                yield f"{prefix}/{entry.name}"
            elif entry.is_dir():
                yield from _names_below(Path(entry.path), f"{prefix}/{entry.name}", extensions)
