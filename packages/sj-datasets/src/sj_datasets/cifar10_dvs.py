"""CIFAR10-DVS: pictures that move on a screen."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Iterable
from itertools import groupby
from pathlib import Path
from typing import Any, ClassVar, Unpack

import numpy as np

from .download import extract_all
from .events import Events
from .fake import synthetic_events
from .folder import Conversion, FolderOptions, NeuromorphicDatasetFolder
from .formats.aedat2 import read_aedat2, write_aedat2
from .layouts import files_below, zipped
from .tree import Samples

__all__ = ["CIFAR10DVS", "CIFAR10DVS_CLASS_NAMES", "CIFAR10DVSTEBNSplit"]

CIFAR10DVS_CLASS_NAMES: tuple[str, ...] = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)
"""The classes in the order of their labels."""

_SPLITS = {
    "tebn-train": "files 100 to 999 of each class",
    "tebn-test": "files 0 to 99 of each class (Duan et al., TEBN, NeurIPS 2022)",
    "first90-train": "the first 90 % of each class, files sorted by name as text, rounded up",
    "first90-test": "the rest, as split_to_train_test_set(0.9, ...) gives without random_split",
}
_NAME = re.compile(r"cifar10_[a-z]+_(\d+)")


class CIFAR10DVS(NeuromorphicDatasetFolder):
    """Pictures of CIFAR-10 that move in a closed loop on a screen, seen by an event camera.

    128 x 128 pixels (H x W), 10 classes of 1000 recordings. There is no official split, and
    accuracies on different splits cannot be compared: choose one of :meth:`named_splits`, or none
    for all recordings. Downloads by itself.

    Li, Liu, Ji, Li, Shi: CIFAR10-DVS, an event-stream dataset for object classification, Frontiers
    in Neuroscience 11:309, 2017.

    Args:
        root: folder of this dataset.
        data_type: ``"event"`` or ``"frame"``.
        split: a name of :meth:`named_splits`, or ``None``; all splits share the files in ``root``.
        **options: see :class:`NeuromorphicDatasetFolder`, as the arguments before.

    Raises:
        ValueError: there is no split of this name.
    """

    splits: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self,
        root: str | Path,
        data_type: str = "event",
        frames_number: int | None = None,
        split_by: str | None = None,
        duration: int | None = None,
        custom_integrate_function: Callable[..., Any] | None = None,
        custom_integrated_frames_dir_name: str | None = None,
        transform: Callable[[Any], Any] | None = None,
        target_transform: Callable[[Any], Any] | None = None,
        *,
        split: str | None = None,
        **options: Unpack[FolderOptions],
    ) -> None:
        self.split = _checked_split(split)
        super().__init__(
            root, None, data_type, frames_number, split_by, duration, custom_integrate_function,
            custom_integrated_frames_dir_name, transform, target_transform, **options,
        )  # fmt: skip
        known = [name for name in self.classes if name in CIFAR10DVS_CLASS_NAMES]
        if known != self.classes:
            self.classes = known
            self.class_to_idx = {name: label for label, name in enumerate(known)}
            self._take(_of_classes(self.class_to_idx, self._tree_samples()))
        if split is not None:
            self._take(_chosen(self._tree_samples(), split))

    def _tree_samples(self) -> Samples:
        assert isinstance(self.samples, Samples)
        return self.samples

    def _take(self, samples: Samples) -> None:
        self.samples = samples
        self.targets = list(samples.labels)

    @classmethod
    def named_splits(cls) -> dict[str, str]:
        """The names that ``split`` takes, each with its rule."""
        return dict(_SPLITS)

    @classmethod
    def get_H_W(cls) -> tuple[int, int]:
        return 128, 128

    @classmethod
    def extract_downloaded_files(cls, download_root: Path, extract_root: Path) -> None:
        archives = [download_root / f"{name}.zip" for name in CIFAR10DVS_CLASS_NAMES]
        extract_all(archives, extract_root)

    @classmethod
    def conversions(cls, extract_root: Path) -> Iterable[Conversion]:
        for name in CIFAR10DVS_CLASS_NAMES:
            for source in files_below(extract_root / name, ".aedat"):
                yield Conversion(source, (f"{name}/{source.stem}",))

    @classmethod
    def convert(cls, conversion: Conversion) -> Iterable[Events]:
        yield read_aedat2(conversion.source)

    @classmethod
    def write_fake(cls, download_root: Path, rng: np.random.Generator) -> None:
        for label, name in enumerate(CIFAR10DVS_CLASS_NAMES):
            with zipped(download_root / f"{name}.zip") as folder:
                (folder / name).mkdir()
                for number in (*range(10), *range(100, 110)):  # two per class in every split
                    events = synthetic_events(
                        label, n_events=300, sensor_size=cls.get_H_W(), duration=1_000_000, rng=rng
                    )
                    write_aedat2(folder / name / f"cifar10_{name}_{number}.aedat", events)


class CIFAR10DVSTEBNSplit(CIFAR10DVS):
    """:class:`CIFAR10DVS` with the split of TEBN: files 0 to 99 of each class are for the test.

    It shares the files of :class:`CIFAR10DVS` in the same ``root``. Accuracies on it are usually
    higher than on a random split.

    Args:
        root: folder of CIFAR10-DVS.
        train: the training samples, or the test samples.
        data_type: ``"event"`` or ``"frame"``.
        **options: see :class:`NeuromorphicDatasetFolder`, as the arguments before.

    Raises:
        ValueError: ``train`` is neither ``True`` nor ``False``.
    """

    def __init__(
        self,
        root: str | Path,
        train: bool = True,
        data_type: str = "event",
        frames_number: int | None = None,
        split_by: str | None = None,
        duration: int | None = None,
        custom_integrate_function: Callable[..., Any] | None = None,
        custom_integrated_frames_dir_name: str | None = None,
        transform: Callable[[Any], Any] | None = None,
        target_transform: Callable[[Any], Any] | None = None,
        **options: Unpack[FolderOptions],
    ) -> None:
        if not isinstance(train, bool):
            raise ValueError(f"CIFAR10DVSTEBNSplit: train must be True or False, got {train!r}")
        super().__init__(
            root, data_type, frames_number, split_by, duration, custom_integrate_function,
            custom_integrated_frames_dir_name, transform, target_transform,
            split="tebn-train" if train else "tebn-test", **options,
        )  # fmt: skip

    @classmethod
    def split_arguments(cls) -> list[dict[str, Any]]:
        return [{"train": True}, {"train": False}]


def _checked_split(split: str | None) -> str | None:
    if split is None or split in _SPLITS:
        return split
    close = difflib.get_close_matches(str(split), _SPLITS, n=1, cutoff=0.5)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    raise ValueError(
        f"CIFAR10DVS: split must be None or one of {', '.join(map(repr, _SPLITS))}, "
        f"got {split!r}{hint}"
    )


def _of_classes(labels: dict[str, int], samples: Samples) -> Samples:
    """Without ``train`` and ``test``, where other libraries link to the files of the classes."""
    classes = [path.relative_to(samples.folder).parts[0] for path, _ in samples]
    kept = samples.subset([i for i, name in enumerate(classes) if name in labels])
    kept.labels = [labels[name] for name in classes if name in labels]
    return kept


def _chosen(samples: Samples, split: str) -> Samples:
    """The samples of a named split."""
    rule, _, part = split.partition("-")
    chosen: list[int] = []
    for _, group in groupby(range(len(samples)), key=samples.labels.__getitem__):
        of_class = list(group)
        if rule == "tebn":
            numbers = {i: _number(samples[i][0]) for i in of_class}
            train = [i for i in of_class if numbers[i] >= 100]
            test = [i for i in of_class if numbers[i] < 100]
        else:
            count = math.ceil(0.9 * len(of_class))
            train, test = of_class[:count], of_class[count:]
        chosen += train if part == "train" else test
    return samples.subset(chosen)


def _number(path: Path) -> int:
    match = _NAME.match(path.name)
    if match is None:
        raise ValueError(f"{path}: the splits of CIFAR10-DVS need names like cifar10_cat_17")
    return int(match[1])
