"""Bullying10K: friendly and violent actions between two persons."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from .download import extract_all
from .errors import FormatError
from .events import Events
from .fake import synthetic_events
from .folder import Conversion
from .formats.bullying10k import read_bullying10k, write_bullying10k
from .layouts import files_below, zipped
from .split_folders import TrainTestFolder

__all__ = ["BULLYING10K_CATEGORY_LABEL", "Bullying10kClassification"]

BULLYING10K_CATEGORY_LABEL: dict[str, int] = {
    "handshake": 0,
    "slapping": 1,
    "punching": 2,
    "walking": 3,
    "fingerguess": 4,
    "strangling": 5,
    "greeting": 6,
    "pushing": 7,
    "hairgrabs": 8,
    "kicking": 9,
}
"""The label of each action."""

_TEST_EVERY = 5


class Bullying10kClassification(TrainTestFolder):
    """Ten actions of two persons, to be told apart.

    260 x 346 pixels (H x W), 10 classes: the folders ``0`` to ``9`` in the order of
    :data:`BULLYING10K_CATEGORY_LABEL`. As in the authors' program every fifth file is for the test,
    counted through all actions from the first. That program takes files as the file system lists
    them; here they are sorted by path (action, then file), so the split is the same everywhere, and
    not exactly that of other libraries. Downloads by itself.

    Dong, Li, Zhao, Shen, Zeng: Bullying10K, a large-scale neuromorphic dataset towards
    privacy-preserving bullying recognition, NeurIPS 2023 (datasets and benchmarks).

    Args:
        root: folder of this dataset.
        train: the training samples, or the test samples.
        data_type: ``"event"`` or ``"frame"``.
        **options: see :class:`NeuromorphicDatasetFolder`, as the arguments before.
    """

    @classmethod
    def get_H_W(cls) -> tuple[int, int]:
        return 260, 346

    @classmethod
    def extract_downloaded_files(cls, download_root: Path, extract_root: Path) -> None:
        archives = [download_root / f"{action}.zip" for action in BULLYING10K_CATEGORY_LABEL]
        extract_all(archives, extract_root)

    @classmethod
    def conversions(cls, extract_root: Path) -> Iterable[Conversion]:
        taken: set[str] = set()
        for count, source in enumerate(files_below(extract_root, ".npy")):
            action, *folders, _ = source.relative_to(extract_root).parts
            if action not in BULLYING10K_CATEGORY_LABEL:
                raise FormatError(source, f"{action!r} is none of the actions of Bullying10K")
            split = "train" if count % _TEST_EVERY else "test"
            folder = f"{split}/{BULLYING10K_CATEGORY_LABEL[action]}"
            output = f"{folder}/{source.stem}"
            if output in taken:  # the same name in two folders of one action
                output = f"{folder}/{'_'.join((*folders, source.stem))}"
            taken.add(output)
            yield Conversion(source, (output,))

    @classmethod
    def convert(cls, conversion: Conversion) -> Iterable[Events]:
        yield read_bullying10k(conversion.source)

    @classmethod
    def write_fake(cls, download_root: Path, rng: np.random.Generator) -> None:
        for action, label in BULLYING10K_CATEGORY_LABEL.items():
            with zipped(download_root / f"{action}.zip") as folder:
                (folder / action).mkdir()
                for number in range(2 * _TEST_EVERY):
                    events = synthetic_events(
                        label, n_events=300, sensor_size=cls.get_H_W(), duration=3_000_000, rng=rng
                    )
                    write_bullying10k(folder / action / f"{action}_{number:03d}.npy", events)
