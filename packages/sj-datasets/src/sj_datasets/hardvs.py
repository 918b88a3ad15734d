"""HARDVS: activities of people."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, ClassVar, Unpack

import numpy as np

from .errors import FormatError
from .fake import synthetic_events
from .folder import Conversion, FolderOptions, NeuromorphicDatasetFolder
from .formats.columns import write_columns
from .layouts import extract_nested, present, zipped

__all__ = ["HARDVS"]

_ARCHIVE = "MINI_HARDVS_files.zip"
_FAKE_CLASSES = 4


class HARDVS(NeuromorphicDatasetFolder):
    """People who do one of 300 things.

    260 x 346 pixels (H x W), 300 classes ``action_001`` to ``action_300``, three splits named by
    the published lists. The compact files (``MINI_HARDVS_files.zip``) are used as they are:
    ``events_np`` links to ``extract``, which has to stay. They are handed out by hand only. The
    synthetic copy holds four classes only.

    Wang, Wu, Jiang, Bao, Zhu, Li, Wang, Tian: HARDVS: Revisiting human activity recognition with
    dynamic vision sensors, AAAI 2024.

    Args:
        root: folder of this dataset.
        train_test_val: ``"train"``, ``"val"`` or ``"test"``; one must be chosen.
        data_type: ``"event"`` or ``"frame"``.
        **options: see :class:`NeuromorphicDatasetFolder`, as the arguments before.

    Raises:
        ValueError: ``train_test_val`` names no split.
    """

    splits: ClassVar[tuple[str, ...]] = ("train", "val", "test")

    def __init__(
        self,
        root: str | Path,
        train_test_val: str | None = None,
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
        if train_test_val not in self.splits:
            raise ValueError(
                f"HARDVS: train_test_val must be one of {', '.join(map(repr, self.splits))}, "
                f"got {train_test_val!r}"
            )
        self.train_test_val = train_test_val
        super().__init__(
            root, None, data_type, frames_number, split_by, duration, custom_integrate_function,
            custom_integrated_frames_dir_name, transform, target_transform, **options,
        )  # fmt: skip

    @classmethod
    def get_H_W(cls) -> tuple[int, int]:
        return 260, 346

    @classmethod
    def split_arguments(cls) -> list[dict[str, Any]]:
        return [{"train_test_val": split} for split in cls.splits]

    def get_root_when_train_is_none(self, root: Path) -> Path:
        return root / self.train_test_val

    @classmethod
    def extract_downloaded_files(cls, download_root: Path, extract_root: Path) -> None:
        extract_nested(download_root / _ARCHIVE, extract_root, own_folders=True)
        for split in cls.splits:
            name = f"{split}_label.txt"
            (extract_root / name).write_bytes((download_root / name).read_bytes())

    @classmethod
    def conversions(cls, extract_root: Path) -> Iterable[Conversion]:
        for split in cls.splits:
            labels = extract_root / f"{split}_label.txt"
            listed = [
                (extract_root / f"{name}.npz", f"{split}/{name}") for name in _read_names(labels)
            ]
            for source, output in present(listed, labels):
                yield Conversion(source, (output,), link=True)

    @classmethod
    def write_fake(cls, download_root: Path, rng: np.random.Generator) -> None:
        names: dict[str, list[str]] = {split: [] for split in cls.splits}
        with zipped(download_root / _ARCHIVE) as outer:
            (outer / "MINI_HARDVS_files").mkdir()
            for label in range(_FAKE_CLASSES):
                action = f"action_{label + 1:03d}"
                with zipped(outer / "MINI_HARDVS_files" / f"{action}.zip") as folder:
                    for number in range(2 * len(cls.splits)):
                        name = f"dvSave-2021_10_15_19_{label:02d}_{number:02d}"
                        events = synthetic_events(
                            label, n_events=300, sensor_size=cls.get_H_W(), duration=5_000_000,
                            rng=rng,
                        )  # fmt: skip
                        write_columns(folder / f"{name}.npz", events)
                        split = cls.splits[number % len(cls.splits)]
                        names[split].append(f"{action}/{name} 0 {label}\n")
        for split, rows in names.items():
            (download_root / f"{split}_label.txt").write_text("".join(rows), encoding="ascii")


def _read_names(path: Path) -> list[str]:
    """``class/sample`` of every line; further columns are not needed."""
    names = [line.split()[0] for line in path.read_text("ascii").splitlines() if line.split()]
    for name in names:
        parts = name.split("/")
        if len(parts) != 2 or not all(parts) or ".." in parts:
            raise FormatError(path, f"expected class/sample to begin each line, got {name!r}")
    return names
