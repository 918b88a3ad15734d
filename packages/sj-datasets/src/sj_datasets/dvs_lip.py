"""DVS-Lip: words read from lips."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from .download import extract
from .fake import synthetic_events
from .folder import Conversion
from .layouts import files_below, zipped
from .split_folders import TrainTestFolder

__all__ = ["DVS_LIP_WORDS", "DVSLip"]

DVS_LIP_WORDS: tuple[str, ...] = tuple(
    """accused action allow allowed america american another around attacks banks become being
    benefit benefits between billion called capital challenge change chief couple court death
    described difference different during economic education election england evening everything
    exactly general germany giving ground happen happened having heavy house hundreds immigration
    judge labour leaders legal little london majority meeting military million minutes missing
    needs number numbers paying perhaps point potential press price question really right russia
    russian saying security several should significant spend spent started still support syria
    syrian taken taking terms these thing think times tomorrow under warning water welcome words
    worst years young""".split()  # noqa: SIM905 - a list would fill pages
)
"""The 100 words, in the order of their labels."""

_DTYPE = np.dtype([("t", "<i4"), ("x", "i1"), ("y", "i1"), ("p", "i1")])


class DVSLip(TrainTestFolder):
    """Mouths that say one word each, cut out of the picture.

    128 x 128 pixels (H x W), 100 words, split by the folders ``train`` and ``test`` of the archive.
    The published files are used as they are: ``events_np`` links to ``extract``, which has to stay.
    They are handed out by hand only.

    Tan, Wang, Han, Cao, Wu, Zha: Multi-grained spatio-temporal features perceived network for
    event-based lip-reading, CVPR 2022.

    Args:
        root: folder of this dataset.
        train: the training samples, or the test samples.
        data_type: ``"event"`` or ``"frame"``.
        **options: see :class:`NeuromorphicDatasetFolder`, as the arguments before.
    """

    @classmethod
    def get_H_W(cls) -> tuple[int, int]:
        return 128, 128

    @classmethod
    def extract_downloaded_files(cls, download_root: Path, extract_root: Path) -> None:
        extract(download_root / "DVS-Lip.zip", extract_root)

    @classmethod
    def conversions(cls, extract_root: Path) -> Iterable[Conversion]:
        for split in cls.splits:
            for source in files_below(extract_root / "DVS-Lip" / split, ".npy"):
                output = f"{split}/{source.parent.name}/{source.stem}"
                yield Conversion(source, (output,), link=True)

    @classmethod
    def write_fake(cls, download_root: Path, rng: np.random.Generator) -> None:
        with zipped(download_root / "DVS-Lip.zip") as folder:
            for split in cls.splits:
                for label, word in enumerate(DVS_LIP_WORDS):
                    (folder / "DVS-Lip" / split / word).mkdir(parents=True)
                    for number in range(2):
                        events = synthetic_events(
                            label, n_events=200, sensor_size=cls.get_H_W(), duration=1_000_000,
                            rng=rng,
                        )  # fmt: skip
                        rows = events.array.astype(_DTYPE)
                        np.save(folder / "DVS-Lip" / split / word / f"{number}.npy", rows)
