"""ES-ImageNet: pictures of ImageNet turned into events by a program."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .download import extract
from .errors import FormatError
from .fake import synthetic_events
from .folder import Conversion
from .formats.es_imagenet import read_es_imagenet, write_es_imagenet
from .layouts import files_below, present, zipped
from .split_folders import TrainTestFolder

__all__ = ["ESImageNet"]

_FOLDER = "ES-imagenet-0.18"
_FAKE_CLASSES = (0, 1, 2, 10)


class ESImageNet(TrainTestFolder):
    """A picture of ImageNet that jumps about in eight steps, as events.

    Frames of 256 x 256 pixels (H x W); the events of a picture fill less. Times are 1 to 8, one per
    step, so ``duration`` counts steps. 1000 classes, the folders ``class0`` to ``class999``; labels
    follow the names as text: ``class10`` comes before ``class2``. Test files get their class from
    ``vallabel.txt``. The published files are used as they are: ``events_np`` links to ``extract``,
    which has to stay. Downloads by itself: 25 rar parts, which an external tool extracts. The
    synthetic copy is a zip file, since nothing free writes rar, and holds four classes only.

    Lin, Ding, Qiang, Deng, Li: ES-ImageNet, a million event-stream classification dataset for
    spiking neural networks, Frontiers in Neuroscience 15:726582, 2021.

    Args:
        root: folder of this dataset.
        train: the training samples, or the test samples.
        data_type: ``"event"`` or ``"frame"``.
        **options: see :class:`NeuromorphicDatasetFolder`, as the arguments before.
    """

    @classmethod
    def get_H_W(cls) -> tuple[int, int]:
        return 256, 256

    @classmethod
    def extract_downloaded_files(cls, download_root: Path, extract_root: Path) -> None:
        packed = download_root / f"{_FOLDER}.zip"
        first_part = download_root / f"{_FOLDER}.part01.rar"
        extract(packed if packed.exists() else first_part, extract_root)

    @classmethod
    def conversions(cls, extract_root: Path) -> Iterable[Conversion]:
        folder = extract_root / _FOLDER
        for source in files_below(folder / "train", ".npz"):
            yield Conversion(source, (f"train/{source.parent.name}/{source.stem}",), link=True)
        labels = folder / "vallabel.txt"
        listed = [(folder / "val" / name, label) for name, label in _read_labels(labels)]
        for source, label in present(listed, labels):
            yield Conversion(source, (f"test/class{label}/{source.stem}",), link=True)

    @classmethod
    def load_events(cls, path: Path) -> dict[str, NDArray[Any]]:
        return read_es_imagenet(path).columns()

    @classmethod
    def write_fake(cls, download_root: Path, rng: np.random.Generator) -> None:
        with zipped(download_root / f"{_FOLDER}.zip") as outer:
            folder = outer / _FOLDER
            (folder / "val").mkdir(parents=True)
            rows = []
            for label, number in enumerate(_FAKE_CLASSES):
                (folder / "train" / f"class{number}").mkdir(parents=True)
                names = [f"ILSVRC2012_val_{8 * label + i:08d}.npz" for i in range(2)]
                rows += [f"{name} {number} 224 224\n" for name in names]
                files = [folder / "val" / name for name in names]
                files += [
                    folder / "train" / f"class{number}" / f"n{number:08d}_{i}.npz" for i in range(2)
                ]
                for file in files:
                    events = synthetic_events(
                        label, n_events=300, sensor_size=(224, 224), duration=8, rng=rng
                    )
                    events.array["t"] += 1
                    write_es_imagenet(file, events)
            (folder / "vallabel.txt").write_text("".join(rows), encoding="ascii")


def _read_labels(path: Path) -> list[tuple[str, str]]:
    """Names and class numbers of the test files; further columns hold picture sizes."""
    rows = []
    for number, line in enumerate(path.read_text(encoding="ascii").splitlines(), 1):
        fields = line.split()
        if fields:
            if len(fields) < 2 or not fields[1].isdigit() or Path(fields[0]).name != fields[0]:
                raise FormatError(path, f"line {number} is not a file name and a number: {line!r}")
            rows.append((fields[0], fields[1]))
    return rows
