"""Spike-camera datasets: NumPy samples, no torch."""

from .base import BaseDataset
from .config import BaseDatasetConfig
from .fake import moving_scene
from .pairing import pair_images
from .realdata import RealData, RealDataConfig
from .reds_base import REDS_BASE, REDS_BASEConfig
from .registry import DATASETS, build_dataset_cfg, build_dataset_name
from .szdata import SZData, SZDataConfig
from .uhsr import UHSR, UHSRConfig

__all__ = [
    "DATASETS",
    "REDS_BASE",
    "UHSR",
    "BaseDataset",
    "BaseDatasetConfig",
    "REDS_BASEConfig",
    "RealData",
    "RealDataConfig",
    "SZData",
    "SZDataConfig",
    "UHSRConfig",
    "build_dataset_cfg",
    "build_dataset_name",
    "moving_scene",
    "pair_images",
]
