"""Every ready config learns on real images, as a user runs it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "docs" / "examples" / "train_from_config.py"
CONFIGS = sorted((ROOT / "packages" / "sj-models" / "configs").glob("*.yaml"))
SMALL = {  # the networks are large for a test: fewer channels, and steps that suit few images
    "cifar10": ("model.backbone.base_channels=8", "model.backbone.stem_channels=8",
                "model.head.in_channels=64", "model.head.topk=[1]"),
    "retrieval": ("model.image_encoder.0.base_channels=8", "model.image_encoder.0.stem_channels=8",
                  "model.head.in_channels=64"),
    "mae": ("model.backbone.arch.embed_dims=48", "model.backbone.arch.num_layers=2",
            "model.backbone.arch.feedforward_channels=96", "model.neck.embed_dim=48",
            "training.optimizer.lr=2e-3"),
}  # fmt: skip


def run_example(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(EXAMPLE), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


@pytest.mark.parametrize("config", CONFIGS, ids=lambda path: path.stem)
def test_the_loss_falls(config: Path, tmp_path: Path, forked_script) -> None:
    small = next(text for name, text in SMALL.items() if name in config.stem)
    options = ("--epochs", 3, "--limit", 60, "--set", "training.batch_size=18", *small)
    shown = forked_script(EXAMPLE, tmp_path, config, *options)
    assert shown.returncode == 0, shown.stderr
    losses = [float(number) for number in re.findall(r"loss (\S+)  ", shown.stdout)]
    assert len(losses) == 3
    assert losses[-1] < losses[0]
    assert re.search(r"(%|loss \d\.\d+)$", shown.stdout.strip())


def test_images_of_a_file_and_mistakes(tmp_path: Path, forked_script) -> None:
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "x.npz", x=rng.integers(0, 256, (12, 3, 32, 32), np.uint8), y=np.arange(12))
    config = ROOT / "packages" / "sj-models" / "configs" / "mae_tiny.yaml"
    shown = run_example(config, "--epochs", 1, "--data", tmp_path / "x.npz")
    assert shown.returncode == 0, shown.stderr
    wrong = forked_script(EXAMPLE, tmp_path, config, "--set", "model.backbone.depht=3")
    assert wrong.returncode == 2
    assert wrong.stderr.count("\n") == 1 and "depht" in wrong.stderr
    missing = forked_script(EXAMPLE, tmp_path, config, "--data", tmp_path / "none.npz")
    assert missing.returncode == 2 and "none.npz" in missing.stderr
