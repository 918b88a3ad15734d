"""UHSR (U-CALTECH): low-light recordings of Caltech pictures, 224 x 224, no ground truth."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..uhsr import UHSR_CROP, UHSR_SIZE, read_uhsr, write_uhsr
from .base import BaseDataset
from .config import BaseDatasetConfig
from .pairing import files_with

__all__ = ["UHSR", "UHSRConfig"]


@dataclass
class UHSRConfig(BaseDatasetConfig):
    """200 frames, cut to the central 224 x 224 pixels."""

    dataset_name: str = "uhsr"
    root_dir: str | Path = Path("data/u_caltech")
    width: int = 224
    height: int = 224
    with_img: bool = False
    spike_length_train: int = 200
    spike_length_test: int = 200
    img_dir_name: str = ""
    rate: float = 1.0


class UHSR(BaseDataset):
    """``{train,test}/*.npz``; :func:`read_uhsr` gives the labels too."""

    def prepare_data(self) -> None:
        self.spike_list = self.get_spike_files(Path(self.cfg.root_dir) / self.split)
        if self.cfg.with_img:
            raise ValueError("uhsr has no images: leave with_img=False")

    def get_spike_files(self, path: Path) -> list[Path]:
        return files_with(path, (".npz",))

    def load_spike(self, idx: int) -> NDArray[np.uint8]:
        return read_uhsr(self.spike_list[idx]).spikes

    def write_fake(
        self, streams: tuple[int, int] = (2, 2), n_frames: int = 200, seed: int = 0
    ) -> None:
        super().write_fake(streams, n_frames, seed)

    def save_spike(self, path: Path, spikes: NDArray[np.uint8]) -> None:
        frames = np.zeros((len(spikes), UHSR_SIZE, UHSR_SIZE), np.uint8)
        frames[:, UHSR_CROP, UHSR_CROP] = spikes
        write_uhsr(path, frames, label=0, label_name=f"{path.stem}.jpg")

    def fake_paths(self, split: str, name: str) -> tuple[Path, None]:
        return Path(self.cfg.root_dir) / split / f"{name}.npz", None
