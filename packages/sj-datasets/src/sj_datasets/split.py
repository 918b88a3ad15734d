"""Parts of datasets: train and test sets per class, and smaller trees of files."""

from __future__ import annotations

import logging
import math
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

__all__ = ["Subset", "create_sub_dataset", "split_to_train_test_set"]

_log = logging.getLogger(__name__)


class MapStyle(Protocol):
    """A dataset that is read by index."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Any: ...


class Subset:
    """Some samples of a dataset, by index; itself a dataset.

    Args:
        dataset: map-style dataset of pairs (sample, label).
        indices: which samples, in which order.
        transform: applied to each sample, after the dataset's own.

    Raises:
        IndexError: an index is outside the dataset.
    """

    def __init__(
        self,
        dataset: MapStyle,
        indices: Sequence[int],
        transform: Callable[[Any], Any] | None = None,
    ) -> None:
        self.dataset = dataset
        self.indices = [int(i) for i in indices]
        self.transform = transform
        count = len(dataset)
        wrong = [i for i in self.indices if not 0 <= i < count]
        if wrong:
            raise IndexError(f"index {wrong[0]} is outside the dataset, which has {count} samples")

    @property
    def targets(self) -> list[int]:
        """Labels of the samples, without reading them where the dataset stores its labels."""
        labels = getattr(self.dataset, "targets", None)
        if labels is None:
            return [_as_int(self.dataset[i][1]) for i in self.indices]
        return [_as_int(labels[i]) for i in self.indices]

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> Any:
        sample = self.dataset[self.indices[index]]
        if self.transform is None:
            return sample
        x, *rest = sample
        return (self.transform(x), *rest)


def split_to_train_test_set(
    train_ratio: float,
    origin_dataset: MapStyle,
    num_classes: int,
    random_split: bool = False,
    *,
    train_transform: Callable[[Any], Any] | None = None,
    test_transform: Callable[[Any], Any] | None = None,
    seed: int | None = None,
) -> tuple[Subset, Subset]:
    """Split a dataset in two, class by class.

    The first ``ceil(train_ratio n)`` of the n samples of each class are for training. Stored
    ``targets`` are used where the dataset has them; else every sample is read once.

    Args:
        train_ratio: share of samples for training, 0..1.
        origin_dataset: map-style dataset of pairs (sample, label).
        num_classes: labels are 0..num_classes-1.
        random_split: shuffle the samples of each class first.
        train_transform: of the training samples, after the dataset's own transform.
        test_transform: of the test samples, likewise.
        seed: of the shuffle; ``None`` follows ``np.random.seed``.

    Returns:
        Training set and test set, both in order of classes.

    Raises:
        ValueError: train_ratio leaves 0..1, or a label is outside 0..num_classes-1.

    Example:
        >>> class Parity:
        ...     targets = [0, 1, 0, 1, 0]
        ...     def __len__(self): return 5
        ...     def __getitem__(self, i): return i, i % 2
        >>> train, test = split_to_train_test_set(0.5, Parity(), 2)
        >>> train.indices, test.indices
        ([0, 2, 1], [4, 3])
    """
    if not 0 <= train_ratio <= 1:
        raise ValueError(f"train_ratio must lie in 0..1, got {train_ratio}")
    by_class: list[list[int]] = [[] for _ in range(num_classes)]
    for index, label in enumerate(Subset(origin_dataset, range(len(origin_dataset))).targets):
        if not 0 <= label < num_classes:
            raise ValueError(
                f"sample {index} has label {label}, expected 0..{num_classes - 1}; "
                "is num_classes right?"
            )
        by_class[label].append(index)
    # without a seed, the legacy state: np.random.seed makes a split repeatable
    shuffle = np.random.shuffle if seed is None else np.random.default_rng(seed).shuffle
    train: list[int] = []
    test: list[int] = []
    for indices in by_class:
        if random_split:
            shuffle(indices)  # type: ignore[arg-type]
        first = math.ceil(len(indices) * train_ratio)
        train += indices[:first]
        test += indices[first:]
    return (
        Subset(origin_dataset, train, train_transform),
        Subset(origin_dataset, test, test_transform),
    )


def create_sub_dataset(
    source_dir: str | os.PathLike[str],
    target_dir: str | os.PathLike[str],
    ratio: float,
    use_soft_link: bool = True,
    randomly: bool = False,
    *,
    seed: int | None = None,
) -> None:
    """Make a smaller copy of a folder tree: ``int(ratio n)`` of the n files of each folder.

    Args:
        source_dir: tree to take from.
        target_dir: made if missing; files that are there already are kept.
        ratio: share of files, 0..1.
        use_soft_link: link to the files instead of copying them.
        randomly: take random files instead of the first by name.
        seed: of the choice; ``None`` follows ``np.random.seed``.

    Raises:
        FileNotFoundError: there is no source_dir.
        ValueError: ratio leaves 0..1, or target_dir lies within source_dir.
    """
    source, target = Path(source_dir).resolve(), Path(target_dir).resolve()
    if not source.is_dir():
        raise FileNotFoundError(f"{source_dir}: no such folder")
    if not 0 <= ratio <= 1:
        raise ValueError(f"ratio must lie in 0..1, got {ratio}")
    if target.is_relative_to(source):
        raise ValueError(f"{target_dir} lies within {source_dir}; choose a folder outside")
    shuffle = np.random.shuffle if seed is None else np.random.default_rng(seed).shuffle
    for folder, below, files in os.walk(source, followlinks=True):
        below.sort()
        out = target / Path(folder).relative_to(source)
        out.mkdir(parents=True, exist_ok=True)
        names = sorted(files)
        if randomly:
            shuffle(names)  # type: ignore[arg-type]
        chosen = names[: int(ratio * len(names))]
        if names and not chosen:
            _log.warning("no file of %s is taken: int(%g * %d) is 0", folder, ratio, len(names))
        for name in chosen:
            _place(Path(folder, name), out / name, use_soft_link)


def _place(source: Path, target: Path, use_soft_link: bool) -> None:
    if target.exists():
        return
    if use_soft_link:
        target.unlink(missing_ok=True)  # a link whose file is gone
        target.symlink_to(source)
    else:
        shutil.copyfile(source, target)


def _as_int(label: Any) -> int:
    """A label as ``int``, whether it is a number, a 0-d array or a tensor of one element."""
    return int(label.item() if hasattr(label, "item") else label)
