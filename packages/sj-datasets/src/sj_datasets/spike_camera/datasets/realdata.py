"""Real recordings without ground truth: one folder of ``.dat`` files, 250 x 400."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from .base import BaseDataset
from .config import BaseDatasetConfig

__all__ = ["RealData", "RealDataConfig"]


@dataclass
class RealDataConfig(BaseDatasetConfig):
    """Whole streams, no images."""

    dataset_name: str = "realdata"
    root_dir: str | Path = Path("data/realdata")
    with_img: bool = False
    rate: float = 1.0


class RealData(BaseDataset):
    """All ``.dat`` files below ``root_dir``, the same for every split."""

    def prepare_data(self) -> None:
        self.spike_list = self.get_spike_files(Path(self.cfg.root_dir))
        if self.cfg.with_img:
            raise ValueError("realdata has no images: leave with_img=False")

    def fake_paths(self, split: str, name: str) -> tuple[Path, None]:
        return Path(self.cfg.root_dir) / f"{name}.dat", None
