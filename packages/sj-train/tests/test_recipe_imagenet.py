from __future__ import annotations

import subprocess
import sys

import pytest

from sj_train import load_checkpoint
from sj_train.recipes import train_imagenet_example
from sj_train.recipes.fake_pictures import write_fake_pictures

FAKE = ["--fake-data", "--device", "cpu", "--epochs", "1", "--batch-size", "16", "--T", "1"]


def test_fake_run_writes_logs_and_checkpoints(tmp_path):
    train_imagenet_example.main([*FAKE, "--output-dir", str(tmp_path)])
    (latest,) = tmp_path.glob("pt/*_T1/checkpoint_latest.pth")
    stored = load_checkpoint(latest)
    assert stored["epoch"] == 0
    assert stored["model"]["fc.weight"].shape[0] == 4
    assert latest.parent.name.startswith("spiking_resnet18_b16_e1_sgd")
    assert (tmp_path / latest.parent.name / "args.txt").is_file()


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (["--model", "resnet18"], "unknown model 'resnet18'; known are spiking_resnet18"),
        (["--T", "0"], "argument --T: "),
        (["--batch-size", "33"], "32 samples per process, less than one batch of 33"),
    ],
)
def test_bad_input_is_one_line(tmp_path, capsys, more, told):
    with pytest.raises(SystemExit) as stop:
        train_imagenet_example.main([*FAKE, "--output-dir", str(tmp_path), *more])
    said = capsys.readouterr().err
    assert stop.value.code == 2
    assert told in said and said.count("\n") == 1


def test_missing_pictures(tmp_path, capsys):
    argv = ["--T", "1", "--device", "cpu", "--data-path", str(tmp_path / "no")]
    with pytest.raises(SystemExit) as stop:
        train_imagenet_example.main([*argv, "--output-dir", str(tmp_path)])
    assert stop.value.code == 2
    assert "does not exist" in capsys.readouterr().err


def test_fake_pictures_are_written_once(tmp_path):
    root = write_fake_pictures(tmp_path / "deep" / "pictures")
    files = sorted(p.relative_to(root).as_posix() for p in root.rglob("*.png"))
    assert len(files) == 4 * (8 + 4) and files[0] == "train/blue/0.png"
    before = (root / files[0]).stat().st_mtime_ns
    assert write_fake_pictures(root) == root
    assert (root / files[0]).stat().st_mtime_ns == before


def test_two_processes(tmp_path):
    launch = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node=2", "--standalone"]
    module = ["-m", "sj_train.recipes.train_imagenet_example"]
    argv = [*FAKE, "--auto-augment", "none", "--output-dir", str(tmp_path)]
    done = subprocess.run([*launch, *module, *argv], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert list(tmp_path.glob("pt/*/checkpoint_latest.pth"))
    assert not [p for p in (tmp_path / "fake_data").iterdir() if p.name.startswith(".")]
