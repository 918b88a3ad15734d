"""SZData: one's own simulated data, as :func:`simulate_dataset` writes them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from .base import BaseDataset
from .config import BaseDatasetConfig

__all__ = ["SZData", "SZDataConfig"]


@dataclass
class SZDataConfig(BaseDatasetConfig):
    """Whole streams, sharp images; set ``rate`` to 1 / threshold of the simulation."""

    dataset_name: str = "szdata"
    root_dir: str | Path = Path("data/szdata")
    spike_dir_name: str = "spike_data"
    img_dir_name: str = "sharp_data"
    rate: float = 1.0


class SZData(BaseDataset):
    """``{train,test}/spike_data/*.dat`` with ``{train,test}/sharp_data/*.png``."""
