"""Where tests across packages find recorded data."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

os.environ.setdefault("SZ_MODELS_OFFLINE", "1")  # no test may wait for weights

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder with recordings and goldens too large for this repository; skips if absent."""
    folder = Path(os.environ.get("SJ_SHARED") or ROOT.parent / "shared").resolve()
    if not folder.is_dir():
        pytest.skip(f"no folder {folder}: set SJ_SHARED to the recorded data")
    return folder


@pytest.fixture(scope="session")
def goldens() -> Path:
    """Recorded inputs and outputs kept in this repository."""
    return ROOT / "tests" / "conformance" / "data"
