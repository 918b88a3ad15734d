"""ASL-DVS: letters of the American sign language."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import ClassVar

import numpy as np

from .events import Events
from .fake import synthetic_events
from .folder import Conversion
from .formats.asl_dvs import read_asl_dvs, write_asl_dvs
from .layouts import extract_nested, files_below, zipped
from .split_folders import UnsplitFolder

__all__ = ["ASLDVS"]

_LETTERS = "abcdefghiklmnopqrstuvwxy"  # j and z need a movement


class ASLDVS(UnsplitFolder):
    """Hands that show 24 letters, all but j and z.

    180 x 240 pixels (H x W), 100,800 recordings of about 100 ms, 4200 per letter. There is no
    published split. The archive was packed anew by its host, so its checksum is not known; the
    page is gone, a mirror hands it out by hand. Needs the extra ``mat``.

    Bi, Chadha, Abbas, Bourtsoulatze, Andreopoulos: Graph-based object classification for
    neuromorphic vision sensing, ICCV 2019.

    Args:
        root: folder of this dataset.
        data_type: ``"event"`` or ``"frame"``.
        **options: see :class:`NeuromorphicDatasetFolder`, as the arguments before.
    """

    splits: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def get_H_W(cls) -> tuple[int, int]:
        return 180, 240

    @classmethod
    def extract_downloaded_files(cls, download_root: Path, extract_root: Path) -> None:
        extract_nested(download_root / "ICCV2019_DVS_dataset.zip", extract_root)

    @classmethod
    def conversions(cls, extract_root: Path) -> Iterable[Conversion]:
        for source in files_below(extract_root, ".mat"):
            yield Conversion(source, (f"{source.parent.name}/{source.stem}",))

    @classmethod
    def convert(cls, conversion: Conversion) -> Iterable[Events]:
        yield read_asl_dvs(conversion.source)

    @classmethod
    def write_fake(cls, download_root: Path, rng: np.random.Generator) -> None:
        with zipped(download_root / "ICCV2019_DVS_dataset.zip") as outer:
            for label, letter in enumerate(_LETTERS):
                with zipped(outer / f"{letter}.zip") as folder:
                    (folder / letter).mkdir()
                    for number in (1, 2):
                        events = synthetic_events(
                            label, n_events=300, sensor_size=cls.get_H_W(), duration=100_000,
                            rng=rng,
                        )  # fmt: skip
                        write_asl_dvs(folder / letter / f"{letter}_{number:04d}.mat", events)
