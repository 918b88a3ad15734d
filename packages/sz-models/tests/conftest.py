from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def no_downloads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Released weights are not fetched; tests that fetch from a loopback server switch it off."""
    monkeypatch.setenv("SZ_MODELS_OFFLINE", "1")
    monkeypatch.delenv("SZ_MODELS_MIRROR", raising=False)
    monkeypatch.delenv("SJ_DATASETS_MIRROR", raising=False)
