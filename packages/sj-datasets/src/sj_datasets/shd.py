"""Spoken words as spikes of an artificial cochlea: SHD and SSC.

    download/     the published archives
    extract/      shd_train.h5, ...
    events_h5/    links to them, or the files themselves
    frames_number_<T>_split_by_<number|time>/, duration_<d>/, <name of a custom function>/
                  <split>/<label>/<index>.npy, frames [T, 700]

Cramer, Stradmann, Schemmel, Zenke: The Heidelberg Spiking Data Sets for the Systematic Evaluation
of Spiking Neural Networks, IEEE Transactions on Neural Networks and Learning Systems 33, 2020.
"""

from __future__ import annotations

import os
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar, Unpack

import numpy as np

from .atomic import atomic_path
from .builders import EventBuilder, FrameBuilder, NeuromorphicDatasetBuilder
from .cache import FrameLoader
from .config import BuildOptions, FolderOptions, NeuromorphicDatasetConfig
from .conversion import link
from .fake import settle_fake
from .folder import NeuromorphicDatasetFolder
from .formats.spike_trains import SPIKE_TRAIN_UNITS, SpikeTrainFile, write_spike_trains
from .locking import folder_lock
from .obtain import extracted_files
from .spike_train_frames import (
    SampleEvents,
    SampleFrames,
    SpikeIntegrator,
    build_spike_frames,
    build_with_own_files,
    writes_its_own_files,
)
from .tree import list_samples

__all__ = [
    "SHD_N_CLASSES",
    "SSC_N_CLASSES",
    "SpikingHeidelbergDigits",
    "SpikingSpeechCommands",
]

SHD_N_CLASSES = 20
SSC_N_CLASSES = 35


class _SpikeTrainDataset(NeuromorphicDatasetFolder):
    """What SHD and SSC share: one HDF5 file per split, times and units, no polarity."""

    n_classes: ClassVar[int]
    file_prefix: ClassVar[str]
    fake_samples: ClassVar[dict[str, int]]  # of each class

    def __init__(
        self,
        cfg: NeuromorphicDatasetConfig,
        split: str,
        options: BuildOptions,
    ) -> None:
        self.cfg, self.options, self._split = cfg, options, split
        self.transform, self.target_transform = cfg.transform, cfg.target_transform
        self._own_files = writes_its_own_files(cfg.custom_integrate_function)
        if self._own_files and not options.cache:
            raise ValueError("cache=False needs a custom_integrate_function f(events, H, W)")
        self.is_fake = settle_fake(type(self), cfg.root, options.fake, stacklevel=4)
        if not cfg.root.is_dir():
            raise FileNotFoundError(
                f"{cfg.root} does not exist; create it, or pass fake=True for a synthetic copy"
            )
        builder = self.get_dataset_builder()
        builder.split, builder.dataset, builder.options = split, type(self), options
        if isinstance(builder, FrameBuilder):
            builder.H = 1  # manifests want a number of rows
        self.processed_root = builder.processed_root
        self.root = self.processed_root / split
        samples = self._from_file(builder) if builder.reads_events else self._from_tree(builder)
        self.samples: Sequence[tuple[Any, int]] = samples
        self.targets = [label for _, label in samples]
        self.classes = [str(label) for label in range(self.n_classes)]
        self.class_to_idx = {name: label for label, name in enumerate(self.classes)}

    @classmethod
    def get_H_W(cls) -> tuple[None, int]:  # type: ignore[override]
        """No rows, 700 units."""
        return None, SPIKE_TRAIN_UNITS

    @property
    def raw_root(self) -> Path:
        """Folder of the HDF5 files."""
        return self.cfg.root / "events_h5"

    @property
    def raw_path(self) -> Path:
        """HDF5 file of the split."""
        return self.raw_root / f"{self.file_prefix}_{self._split}.h5"

    def split_name(self) -> str:
        """Folder of the split below each tree."""
        return self._split

    def prepare_raw_dataset(self) -> None:
        """Put the file of the split in its place: download and extract what is missing."""
        if self.raw_path.exists():
            return
        with folder_lock(self.cfg.root):
            extract_root = extracted_files(
                type(self), self.cfg.root, is_fake=self.is_fake, progress=self.options.progress
            )
            found = sorted(extract_root.rglob(self.raw_path.name))
            if not found:
                raise FileNotFoundError(
                    f"{extract_root}: no {self.raw_path.name} in it; delete the folder to have "
                    "the archives extracted again"
                )
            self.raw_root.mkdir(exist_ok=True)
            link(found[0], self.raw_path)

    @classmethod
    def write_fake(cls, download_root: Path, rng: np.random.Generator) -> None:
        for split, count in cls.fake_samples.items():
            labels = rng.permutation(np.repeat(np.arange(cls.n_classes), count))
            trains = [_fake_train(int(label), cls.n_classes, rng) for label in labels]
            name = f"{cls.file_prefix}_{split}.h5"
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder, name)
                keys = [f"word {label}" for label in range(cls.n_classes)]
                write_spike_trains(path, trains, labels, keys=keys)
                with (
                    atomic_path(download_root / f"{name}.zip") as partial,
                    zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as archive,
                ):
                    archive.write(path, name)

    def _trains(self) -> SpikeTrainFile:
        self.prepare_raw_dataset()
        trains = SpikeTrainFile(self.raw_path.absolute())
        if len(trains) and not 0 <= trains.labels.min() <= trains.labels.max() < self.n_classes:
            raise ValueError(
                f"{self.raw_path}: labels {trains.labels.min()}..{trains.labels.max()}, expected "
                f"0..{self.n_classes - 1}; is this a file of {type(self).__name__}?"
            )
        return trains

    def _integrator(self) -> SpikeIntegrator:
        return SpikeIntegrator(self.cfg, SPIKE_TRAIN_UNITS)

    def _from_file(self, builder: NeuromorphicDatasetBuilder) -> list[tuple[int, int]]:
        """Samples by their index in the HDF5 file."""
        trains = self._trains()
        if isinstance(builder, EventBuilder):
            self.loader = SampleEvents(trains)
        else:
            dtype = np.dtype(self.options.dtype)
            self.loader = SampleFrames(trains, self._integrator(), dtype)
        return list(enumerate(trains.labels.tolist()))

    def _from_tree(self, builder: NeuromorphicDatasetBuilder) -> Sequence[tuple[Path, int]]:
        """Samples of a tree of frames, in the order of the HDF5 file."""
        tree = builder.tree
        if not tree.is_complete(self._split):
            trains = self._trains()
            with folder_lock(self.cfg.root):
                if not tree.is_complete(self._split):  # another process may have built it
                    tree.begin()
                    self._write_frames(trains)
                    tree.finish(self._split)
        self.loader = FrameLoader(np.dtype(self.options.dtype))
        folders, samples = list_samples(self.root, self.get_extensions())
        wrong = [name for name in folders if not _is_label(name, self.n_classes)]
        if wrong:
            raise ValueError(
                f"{self.root / wrong[0]}: folders must be named by labels 0.."
                f"{self.n_classes - 1}; delete {self.processed_root} to have it built again"
            )
        order = sorted(range(len(samples)), key=lambda i: _file_order(samples[i][0].name))
        paths = samples.subset(order)
        # the folders carry the labels of the file; as text, '10' would come before '2'
        paths.labels = [int(folders[label]) for label in paths.labels]
        return paths

    def _write_frames(self, trains: SpikeTrainFile) -> None:
        function = self.cfg.custom_integrate_function
        self.root.mkdir(parents=True, exist_ok=True)
        if self._own_files and function is not None:
            build_with_own_files(trains, function, self.root, SPIKE_TRAIN_UNITS)
        else:
            build_spike_frames(trains, self._integrator(), self.root, self.options)


class SpikingHeidelbergDigits(_SpikeTrainDataset):
    """Spoken digits in English and German as spikes of 700 cochlea channels (SHD).

    8156 training and 2264 test samples of 20 classes, about one second each.  ``dataset[i]`` is a
    pair (sample, label), in the order and with the labels of the published file: a dict of t
    (float16 seconds) and x (uint16 channel), both ``[N]``, or frames ``[T, 700]``.

    Args:
        root: folder of this dataset.
        train: the training samples, or the test samples.
        data_type: ``"event"`` or ``"frame"``.
        frames_number: frames per sample T, cut as ``split_by`` says.
        split_by: ``"number"`` for equal counts of spikes, ``"time"`` for equal times.
        duration: length of a frame in milliseconds.
        custom_integrate_function: ``f(events, H, W) -> frames``, with times in float64 seconds
            and ``H = None``; or ``f(h5_file, i, output_dir, W)``, which saves
            ``output_dir/<label>/<i>.npz`` with the array ``frames`` itself.
        custom_integrated_frames_dir_name: folder of these frames, else the function's name.
        transform: applied to each sample.
        target_transform: applied to each label.
        **options: ``fake``, ``cache``, ``dtype``, ``workers``, ``progress``; see
            :class:`sj_datasets.config.FolderOptions`.

    Raises:
        FileNotFoundError: ``root`` does not exist.
        FormatError: a file is damaged.
        ValueError: an argument is out of range, or a tree was built in another way.
    """

    splits: ClassVar[tuple[str, ...]] = ("train", "test")
    n_classes = SHD_N_CLASSES
    file_prefix = "shd"
    fake_samples: ClassVar[dict[str, int]] = {"train": 10, "test": 4}

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
        if train not in (True, False):
            raise ValueError(f"train must be True or False, got {train!r}")
        cfg = NeuromorphicDatasetConfig(
            Path(root), train, data_type, frames_number, split_by, duration,
            custom_integrate_function, custom_integrated_frames_dir_name, transform,
            target_transform,
        )  # fmt: skip
        super().__init__(cfg, "train" if train else "test", BuildOptions(**options))


class SpikingSpeechCommands(_SpikeTrainDataset):
    """Speech Commands as spikes of 700 cochlea channels (SSC).

    75466 training, 9981 validation and 20382 test samples of 35 words, of one second each.
    Samples, arguments and errors as of :class:`SpikingHeidelbergDigits`.

    Args:
        root: folder of this dataset.
        split: ``"train"``, ``"valid"`` or ``"test"``.
    """

    splits: ClassVar[tuple[str, ...]] = ("train", "valid", "test")
    n_classes = SSC_N_CLASSES
    file_prefix = "ssc"
    fake_samples: ClassVar[dict[str, int]] = {"train": 6, "valid": 2, "test": 3}

    def __init__(
        self,
        root: str | Path,
        split: str = "train",
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
        if split not in self.splits:
            raise ValueError(f"split must be one of {', '.join(self.splits)}, got {split!r}")
        cfg = NeuromorphicDatasetConfig(
            Path(root), None, data_type, frames_number, split_by, duration,
            custom_integrate_function, custom_integrated_frames_dir_name, transform,
            target_transform,
        )  # fmt: skip
        super().__init__(cfg, split, BuildOptions(**options))

    @classmethod
    def split_arguments(cls) -> list[dict[str, Any]]:
        return [{"split": split} for split in cls.splits]


def _is_label(name: str, n_classes: int) -> bool:
    return name.isdecimal() and int(name) < n_classes


def _file_order(name: str) -> tuple[int, int, str]:
    """Names that are numbers in the order of the numbers, others after them."""
    stem = os.path.splitext(name)[0]
    return (0, int(stem), name) if stem.isdecimal() else (1, 0, name)


def _fake_train(
    label: int, n_classes: int, rng: np.random.Generator
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Two formants, whose pitch and glide are a matter of the label."""
    n = int(rng.integers(150, 300))
    t = np.sort(rng.uniform(0, rng.uniform(0.6, 1.0), n)).astype(np.float16)
    share = (label + 0.5) / n_classes
    glide = 120 * np.sin(2 * np.pi * (t.astype(np.float64) * (1 + label % 3) + share))
    pitch = np.where(rng.random(n) < 0.6, 100 + 300 * share, 620 - 250 * share)
    x = np.clip(pitch + glide + rng.normal(0, 15, n), 0, SPIKE_TRAIN_UNITS - 1)
    return t, x.astype(np.uint16)
