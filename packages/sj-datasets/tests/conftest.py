"""Synthetic copies of the datasets, written and converted once for all tests of a run."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="session")
def fake_tree(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Name of a dataset -> root of its synthetic copy, all splits as events; do not change it."""
    from sj_datasets.registry import dataset_class

    roots: dict[str, Path] = {}

    def get(name: str) -> Path:
        dataset = dataset_class(name)
        key = dataset.dataset_name()  # variants of a dataset share its files
        if key not in roots:
            root = tmp_path_factory.mktemp(key)
            for split in dataset.split_arguments():
                _opened(name, root, fake=True, **split)
            roots[key] = root
        return roots[key]

    return get


@pytest.fixture(scope="session")
def open_fake(fake_tree: Callable[[str], Path]) -> Callable[..., Any]:
    """``open_fake(name, **arguments)``: a dataset on the synthetic copy."""
    return lambda name, **arguments: _opened(name, fake_tree(name), **arguments)


def _opened(name: str, root: Path, **arguments: Any) -> Any:
    # few small samples are made sooner here than worker processes start
    from sj_datasets.registry import dataset_class

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "(?s).*synthetic")
        return dataset_class(name)(root, progress=False, workers=0, **arguments)
