"""Paired spike-camera datasets by name; they live in ``sj_datasets.spike_camera``."""

from __future__ import annotations

from sj_datasets.spike_camera import (
    DATASETS,
    REDS_BASE,
    UHSR,
    BaseDataset,
    BaseDatasetConfig,
    RealData,
    RealDataConfig,
    REDS_BASEConfig,
    SZData,
    SZDataConfig,
    UHSRConfig,
    build_dataset_cfg,
    build_dataset_name,
)

from .loader import build_dataloader

__all__ = [
    "DATASET",
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
    "build_dataloader",
    "build_dataset_cfg",
    "build_dataset_name",
]


class DATASET:
    """Names of the built-in datasets."""

    BASE = "base"
    REDS_BASE = "reds_base"
    REALDATA = "realdata"
    REALWORLD = "realworld"  # the same under its documented name
    UHSR = "uhsr"
    SZDATA = "szdata"
