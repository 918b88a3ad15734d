"""Datasets of event recordings: one folder, prepared step by step, then read sample by sample.

    download/       the published files
    extract/        what the archives hold
    events_np/      [split/]class/sample.npy: events of one sample each
    frames_number_<T>_split_by_<number|time>/, duration_<d>/, <name of a custom function>/
                    the same tree with frames [T, 2, H, W]

Every step is skipped where its result is there, goes on where a stopped process left it, and is
done by one process at a time.
"""

from __future__ import annotations

import logging
import operator
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self, Unpack

import numpy as np
from numpy.typing import NDArray

from . import cache
from .builders import (
    EventBuilder,
    FrameCustomIntegrateBuilder,
    FrameFixedDurationBuilder,
    FrameFixedNumberBuilder,
    NeuromorphicDatasetBuilder,
)
from .config import BuildOptions, Conversion, FolderOptions, NeuromorphicDatasetConfig
from .conversion import build_events
from .events import Events
from .fake import settle_fake
from .locking import folder_lock
from .manifest import Manifest
from .obtain import build_aside, extracted_files
from .registry import DATASETS
from .tree import SampleTree, list_samples

if TYPE_CHECKING:
    from .download import ResourceSet

__all__ = ["Conversion", "FolderOptions", "NeuromorphicDatasetFolder"]

_log = logging.getLogger(__name__)


class NeuromorphicDatasetFolder:
    """A map-style dataset of event recordings; subclasses say where theirs come from.

    ``dataset[i]`` is a pair (sample, label): a dict of the arrays t, x, y, p ``[N]``, or frames
    ``[T, 2, H, W]`` (channel 0 darker, 1 brighter). Labels follow the class folders, sorted by
    name as text: ``'10'`` comes before ``'2'``.

    Args:
        root: existing folder of this dataset.
        train: training or test split; ``None`` where a dataset has no such split.
        data_type: ``"event"`` or ``"frame"``.
        frames_number: frames per sample T, cut as ``split_by`` says.
        split_by: ``"number"`` for equal counts of events, ``"time"`` for equal times.
        duration: length of a frame in the time unit of the events.
        custom_integrate_function: ``f(events, H, W) -> frames``.
        custom_integrated_frames_dir_name: folder of these frames, else the function's name.
        transform: applied to each sample.
        target_transform: applied to each label.
        **options: ``fake``, ``cache``, ``dtype``, ``workers``, ``progress``; see
            :class:`sj_datasets.config.FolderOptions`.

    Attributes:
        samples: pairs (path, label).
        targets: label of every sample.
        classes: names of the classes, in the order of their labels.
        class_to_idx: label by name.
        root: folder of the split that is read.
        processed_root: tree that is read.

    Raises:
        FileNotFoundError: ``root`` does not exist.
        NotImplementedError: files must be downloaded by hand; the message says which and how.
        ValueError: an argument is out of range, or a tree was built in another way.
        RuntimeError: another library left an unfinished tree.
    """

    splits: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self,
        root: str | Path,
        train: bool | None = None,
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
        self.cfg = NeuromorphicDatasetConfig(
            Path(root), train, data_type, frames_number, split_by, duration,
            custom_integrate_function, custom_integrated_frames_dir_name, transform,
            target_transform,
        )  # fmt: skip
        self.options = BuildOptions(**options)
        self.transform = transform
        self.target_transform = target_transform
        self.split_name()  # a wrong split is told before anything is written
        self.is_fake = settle_fake(type(self), self.cfg.root, self.options.fake, stacklevel=4)
        builder = self._ready_builder()
        self.processed_root = builder.processed_root
        self.loader = builder.get_loader()
        self.root = self.processed_root / builder.split
        self.classes, samples = list_samples(
            self.root,
            self.get_extensions(),
            counts_in_names=builder.counts_in_names and not builder.reads_events,
        )
        self.samples: Sequence[tuple[Path, int]] = samples
        self.targets = list(samples.labels)
        self.class_to_idx = {name: label for label, name in enumerate(self.classes)}

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        path, label = self.samples[operator.index(index)]
        sample = self.loader(path)
        if self.transform is not None:
            sample = self.transform(sample)
        if self.target_transform is not None:
            label = self.target_transform(label)
        return sample, label

    def with_transform(
        self,
        transform: Callable[[Any], Any] | None,
        target_transform: Callable[[Any], Any] | None = None,
    ) -> Self:
        """The same samples with other transforms; shares everything else with this dataset."""
        twin = object.__new__(type(self))
        twin.__dict__.update(self.__dict__, transform=transform, target_transform=target_transform)
        twin.cfg = replace(self.cfg, transform=transform, target_transform=target_transform)
        return twin

    def __getstate__(self) -> dict[str, Any]:
        # functions of a script cannot be pickled: keep only those that are still called
        cached = self.cfg.data_type == "frame" and self.options.cache
        return {**self.__dict__, "cfg": self.cfg.without_functions(integrate=cached)}

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}({len(self)} samples, {len(self.classes)} classes, {self.root})"
        )

    @classmethod
    def dataset_name(cls) -> str:
        """Name under which files are published and trees are marked, shared by subclasses."""
        known = [base.__name__ for base in cls.__mro__ if base.__name__ in DATASETS]
        return known[-1] if known else cls.__name__

    @classmethod
    def split_arguments(cls) -> list[dict[str, Any]]:
        """Constructor arguments that choose each split."""
        return [{"train": True}, {"train": False}] if cls.splits else [{}]

    @classmethod
    def get_H_W(cls) -> tuple[int, int]:
        """Rows and columns of the sensor."""
        raise NotImplementedError(f"{cls.__name__} must define get_H_W")

    @classmethod
    def resource_url_md5(cls) -> list[tuple[str, str, str | None]]:
        """The published files as (file, address, md5)."""
        return cls._published("resource_url_md5").url_md5()

    @classmethod
    def downloadable(cls) -> bool:
        """Whether the files can be fetched without a person."""
        return cls._published("downloadable").downloadable

    @classmethod
    def resource_set(cls) -> ResourceSet:
        """The published files with all their addresses."""
        from .download import Resource, ResourceSet

        defining = next(base for base in cls.__mro__ if "resource_url_md5" in vars(base))
        if defining is NeuromorphicDatasetFolder:
            return cls._published("resource_url_md5")
        listed = cls.resource_url_md5()
        files = tuple(Resource(name, md5, (url,)) for name, url, md5 in listed)
        return ResourceSet(cls.__name__, "", cls.downloadable(), files)

    @classmethod
    def _published(cls, hook: str) -> ResourceSet:
        from .download import resources

        if cls.dataset_name() not in DATASETS:
            raise NotImplementedError(f"{cls.__name__} must define {hook}")
        return resources(cls.dataset_name())

    @classmethod
    def extract_downloaded_files(cls, download_root: Path, extract_root: Path) -> None:
        """Fill ``extract_root`` from the published files: every archive, if not overridden."""
        from .download import extract_all, is_archive

        extract_all(filter(is_archive, sorted(download_root.iterdir())), extract_root)

    @classmethod
    def conversions(cls, extract_root: Path) -> Iterable[Conversion]:
        """Which extracted file yields which samples."""
        raise NotImplementedError(
            f"{cls.__name__} must define conversions and convert, or create_raw_from_extracted"
        )

    @classmethod
    def convert(cls, conversion: Conversion) -> Iterable[Events]:
        """Events of each sample of ``conversion.outputs``, in that order; runs in a worker."""
        raise NotImplementedError(f"{cls.__name__} must define convert")

    @classmethod
    def create_raw_from_extracted(cls, extract_root: Path, raw_root: Path) -> None:
        """Write the whole tree of events at once; for datasets that define no conversions."""
        raise NotImplementedError(f"{cls.__name__} does not define create_raw_from_extracted")

    @classmethod
    def load_events(cls, path: Path) -> dict[str, NDArray[Any]]:
        """Events of one file of ``raw_root`` as arrays t, x, y, p ``[N]``."""
        return cache.load_events(path)

    @classmethod
    def write_fake(cls, download_root: Path, rng: np.random.Generator) -> None:
        """Write the published files with synthetic content."""
        raise NotImplementedError(f"{cls.__name__} has no synthetic copy")

    @classmethod
    def get_extensions(cls) -> tuple[str, ...]:
        """Suffixes of samples."""
        return ".npy", ".npz"

    def get_root_when_train_is_none(self, root: Path) -> Path:
        """Folder of the samples below a tree, for datasets split otherwise or not at all."""
        return root

    @property
    def raw_root(self) -> Path:
        """Tree of events."""
        return self.cfg.root / "events_np"

    def split_name(self) -> str:
        """Folder of the split below each tree, ``""`` for none.

        Raises:
            ValueError: the dataset has splits and none is chosen.
        """
        if self.cfg.train is not None:
            return "train" if self.cfg.train else "test"
        folder = self.get_root_when_train_is_none(self.raw_root)
        name = "" if folder == self.raw_root else folder.relative_to(self.raw_root).as_posix()
        if self.splits and name not in self.splits:
            raise ValueError(
                f"{type(self).__name__} has the splits {', '.join(self.splits)}: train must be "
                f"True or False, got {self.cfg.train}"
            )
        return name

    def get_dataset_builder(self) -> NeuromorphicDatasetBuilder:
        """Builder of the samples that the configuration asks for."""
        if self.cfg.data_type == "event":
            return EventBuilder(self.cfg, self.raw_root)
        kind = FrameCustomIntegrateBuilder
        if self.cfg.frames_number is not None:
            kind = FrameFixedNumberBuilder
        elif self.cfg.duration is not None:
            kind = FrameFixedDurationBuilder
        return kind(self.cfg, self.raw_root, *self.get_H_W())

    def _ready_builder(self) -> NeuromorphicDatasetBuilder:
        root = self.cfg.root
        if not root.is_dir():
            if root.exists():
                raise NotADirectoryError(f"{root} is no folder; root is the folder of the dataset")
            raise FileNotFoundError(
                f"folder {root} does not exist; create it, or pass fake=True for a synthetic copy"
            )
        builder = self.get_dataset_builder()
        builder.split = self.split_name()
        builder.dataset = type(self)
        builder.options = self.options
        # checked without the lock first: a finished tree may lie on a read-only disk
        if not self._is_ready(builder):
            with folder_lock(root):
                if builder.reads_events or not builder.is_complete():
                    self.prepare_raw_dataset()
                builder.build()
        return builder

    def _is_ready(self, builder: NeuromorphicDatasetBuilder) -> bool:
        if not builder.is_complete():
            return False
        return not builder.reads_events or self._events.is_complete(builder.split)

    @property
    def _events(self) -> SampleTree:
        wanted = Manifest(self.dataset_name(), {"kind": "events"}, self.get_H_W())
        return SampleTree(self.raw_root, wanted)

    def prepare_raw_dataset(self) -> None:
        """Make the events of the split: download, extract and convert what is missing."""
        tree, split = self._events, self.split_name()
        if tree.is_complete(split):
            return
        if not self.raw_root.exists() and (self.cfg.root / "extract").is_dir():
            _log.warning("%s/extract was there already, and is not checked", self.cfg.root)
        extract_root = extracted_files(
            type(self), self.cfg.root, is_fake=self.is_fake, progress=self.options.progress
        )
        write_tree = self._whole_tree_writer()
        if write_tree is None:
            build_events(type(self), extract_root, tree, split, self.options)
        else:
            build_aside(self.raw_root, partial(_write_whole, write_tree, extract_root, tree))

    @classmethod
    def _whole_tree_writer(cls) -> Callable[[Path, Path], object] | None:
        """The hook that writes the whole tree, if the class defines one."""
        for base in cls.__mro__:
            if base is NeuromorphicDatasetFolder or "conversions" in vars(base):
                return None
            for name in ("create_raw_from_extracted", "create_events_np_files"):
                if name in vars(base):
                    return getattr(cls, name)
        return None


def _write_whole(
    write_tree: Callable[[Path, Path], object], extract_root: Path, tree: SampleTree, folder: Path
) -> None:
    write_tree(extract_root, folder)
    tree.at(folder).finish("", whole=True)
