from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sj_datasets import save_vidar_dat, simulate_image


@pytest.fixture(autouse=True)
def no_downloads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Released weights are not fetched; tests that fetch from a loopback server switch it off."""
    monkeypatch.setenv("SZ_MODELS_OFFLINE", "1")
    monkeypatch.delenv("SZ_MODELS_MIRROR", raising=False)
    monkeypatch.delenv("SJ_DATASETS_MIRROR", raising=False)


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """The working folder, with 61 frames of 12 x 16 pixels in a.dat and their truth.png."""
    monkeypatch.chdir(tmp_path)
    light = np.linspace(0, 255, 12 * 16).reshape(12, 16).astype(np.uint8)
    Image.fromarray(light).save("truth.png")
    save_vidar_dat("a.dat", simulate_image(light, 61, rng=0))
    return tmp_path


@pytest.fixture
def refused(capsys):
    """Run a command that must fail with one line, status 2 and no file; gives the line."""
    from sz_models.cli import main

    def run(*argv: str) -> str:
        before = sorted(Path.cwd().rglob("*"))
        try:
            status = main(argv)
        except SystemExit as stop:  # argparse's own errors
            status = stop.code
        output = capsys.readouterr()
        assert status == 2
        assert output.out == ""
        assert output.err.startswith("sz-models")
        assert output.err.count("\n") == 1
        assert sorted(Path.cwd().rglob("*")) == before
        return output.err

    return run
