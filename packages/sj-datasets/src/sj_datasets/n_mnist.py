"""N-MNIST: handwritten digits seen by a moving event camera."""

from __future__ import annotations

import tempfile
import zipfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from .atomic import atomic_path
from .config import Conversion
from .events import Events
from .fake import synthetic_events
from .formats.atis import read_atis, write_atis
from .split_folders import TrainTestFolder

__all__ = ["NMNIST"]

_FAKE_SAMPLES = {"Train": 20, "Test": 5}  # of each digit
_FAKE_EVENTS = 400


class NMNIST(TrainTestFolder):
    """MNIST's digits on a screen, seen by an event camera that moves three times.

    34 x 34 pixels (H x W), 60000 training and 10000 test samples of about 300 ms, 10 classes.
    Timestamp overflows in the recordings are undone.

    Orchard, Jayawant, Cohen, Thakor: Converting static image datasets to spiking neuromorphic
    datasets using saccades, Frontiers in Neuroscience 9:437, 2015.

    Args:
        root: folder of this dataset.
        train: the training samples, or the test samples.
        data_type: ``"event"`` or ``"frame"``.
        **options: see :class:`NeuromorphicDatasetFolder`, as the arguments before.
    """

    @classmethod
    def get_H_W(cls) -> tuple[int, int]:
        return 34, 34

    @classmethod
    def conversions(cls, extract_root: Path) -> Iterable[Conversion]:
        for folder in ("Train", "Test"):
            for digit in range(10):
                for source in sorted((extract_root / folder / str(digit)).glob("*.bin")):
                    yield Conversion(source, (f"{folder.lower()}/{digit}/{source.stem}",))

    @classmethod
    def convert(cls, conversion: Conversion) -> Iterable[Events]:
        yield Events(read_atis(conversion.source).array, cls.get_H_W())

    @classmethod
    def write_fake(cls, download_root: Path, rng: np.random.Generator) -> None:
        for folder, count in _FAKE_SAMPLES.items():
            numbers = rng.permutation(np.repeat(np.arange(10), count)).tolist()
            with (
                tempfile.TemporaryDirectory() as temporary,
                atomic_path(download_root / f"{folder}.zip") as partial,
                zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as archive,
            ):
                file = Path(temporary, "sample.bin")
                for number, digit in enumerate(numbers, start=1):
                    events = synthetic_events(
                        digit, n_events=_FAKE_EVENTS, sensor_size=(34, 34), duration=300_000,
                        rng=rng,
                    )  # fmt: skip
                    write_atis(file, events)
                    archive.write(file, f"{folder}/{digit}/{number:05d}.bin")
