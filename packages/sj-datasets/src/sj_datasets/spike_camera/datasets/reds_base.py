"""REDS_BASE: streams simulated from the REDS videos, 250 x 400, with ground truth by name."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from .base import BaseDataset
from .config import BaseDatasetConfig

__all__ = ["REDS_BASE", "REDS_BASEConfig"]


@dataclass
class REDS_BASEConfig(BaseDatasetConfig):
    """41 central frames for training, whole streams of 301 for tests."""

    dataset_name: str = "reds_base"
    root_dir: str | Path = Path("data/reds_base")
    spike_length_train: int = 41
    spike_length_test: int = 301


class REDS_BASE(BaseDataset):
    """``{train,test}/spike/<name>.dat`` with ``{train,test}/gt/<name>.png``."""

    def prepare_data(self) -> None:
        folder = Path(self.cfg.root_dir) / self.split
        self.spike_list = self.get_spike_files(folder / self.cfg.spike_dir_name)
        if not self.cfg.with_img:
            return
        images = folder / self.cfg.img_dir_name
        self.img_list = [images / f"{stream.stem}.png" for stream in self.spike_list]
        missing = [image for image in self.img_list if not image.is_file()]
        if missing:
            raise FileNotFoundError(f"{len(missing)} images are missing, the first is {missing[0]}")
