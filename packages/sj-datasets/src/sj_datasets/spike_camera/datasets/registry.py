"""Datasets by name."""

from __future__ import annotations

import difflib

from .base import BaseDataset
from .config import BaseDatasetConfig
from .realdata import RealData, RealDataConfig
from .reds_base import REDS_BASE, REDS_BASEConfig
from .szdata import SZData, SZDataConfig
from .uhsr import UHSR, UHSRConfig

__all__ = ["DATASETS", "build_dataset_cfg", "build_dataset_name"]

_TABLE: dict[str, tuple[type[BaseDataset], type[BaseDatasetConfig]]] = {
    "base": (BaseDataset, BaseDatasetConfig),
    "reds_base": (REDS_BASE, REDS_BASEConfig),
    "realdata": (RealData, RealDataConfig),
    "uhsr": (UHSR, UHSRConfig),
    "szdata": (SZData, SZDataConfig),
}
_ALIASES = {"realworld": "realdata"}
DATASETS = list(_TABLE)


def build_dataset_cfg(cfg: BaseDatasetConfig) -> BaseDataset:
    """The dataset of a config: of its ``dataset_cls_local`` if given, else of its name.

    Raises:
        ValueError: no such name.
    """
    if cfg.dataset_cls_local is not None:
        return cfg.dataset_cls_local(cfg)
    return _entry(cfg.dataset_name)[0](cfg)


def build_dataset_name(dataset_name: str) -> BaseDataset:
    """The dataset of a name with its default config.

    Raises:
        ValueError: no such name.
    """
    dataset, config = _entry(dataset_name)
    return dataset(config())


def _entry(name: str) -> tuple[type[BaseDataset], type[BaseDatasetConfig]]:
    key = name.lower()
    key = _ALIASES.get(key, key)
    if key not in _TABLE:
        close = difflib.get_close_matches(key, DATASETS, 1)
        hint = f"did you mean {close[0]!r}? " if close else ""
        raise ValueError(
            f"no dataset {name!r}; {hint}There are {', '.join(DATASETS)}; for one of your own set "
            "dataset_cls_local"
        )
    return _TABLE[key]
