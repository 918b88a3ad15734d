from __future__ import annotations

import re
import subprocess
import sys

import pytest
import torch
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from sj_train.recipes import (
    classify_dvsg,
    conv_fashion_mnist,
    rate_training,
    rsnn_sequential_fmnist,
)

KEYS = {"net", "optimizer", "lr_scheduler", "epoch", "max_test_acc"}
TAGS = {"train_loss", "train_acc", "test_loss", "test_acc"}
SMALL = ["--fake-data", "-device", "cpu", "-b", "64", "-epochs", "1"]


def scalars(folder) -> dict[str, list[float]]:
    log = EventAccumulator(str(folder)).Reload()
    return {tag: [e.value for e in log.Scalars(tag)] for tag in log.Tags()["scalars"]}


def run_csnn(out, *more: str) -> None:
    conv_fashion_mnist.main([*SMALL, "-T", "2", "-channels", "8", "-out-dir", str(out), *more])


def test_documented_files_of_conv_fashion_mnist(tmp_path):
    run_csnn(tmp_path)
    folder = tmp_path / "T2_b64_adam_lr0.003_c8"
    for name in ("checkpoint_latest.pth", "checkpoint_max.pth"):
        stored = torch.load(folder / name, weights_only=True)
        assert stored.keys() >= KEYS and stored["epoch"] == 0
        assert 0 <= stored["max_test_acc"] <= 1
    assert "Namespace(" in (folder / "args.txt").read_text()
    found = scalars(folder)
    assert set(found) == TAGS and all(0 <= value[0] <= 1 for value in found.values())


def test_folder_says_amp(tmp_path):
    run_csnn(tmp_path, "-amp", "-opt", "sgd", "-lr", "0.1")
    assert (tmp_path / "T2_b64_sgd_lr0.1_c8_amp" / "checkpoint_max.pth").is_file()


def test_resumed_run_equals_an_uninterrupted_one(tmp_path):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    run_csnn(whole, "-epochs", "2")
    name = "T2_b64_adam_lr0.003_c8"

    class Killed(Exception):
        pass

    saved = rate_training.ScriptRun.save

    def save_and_die(self, folder, *, improved):
        saved(self, folder, improved=improved)
        raise Killed

    with pytest.MonkeyPatch.context() as patch, pytest.raises(Killed):
        patch.setattr(rate_training.ScriptRun, "save", save_and_die)
        run_csnn(parts, "-epochs", "2")
    run_csnn(parts, "-epochs", "2", "-resume", str(parts / name / "checkpoint_latest.pth"))
    ends = [
        torch.load(root / name / "checkpoint_latest.pth", weights_only=True)
        for root in (whole, parts)
    ]
    for key, value in ends[0]["net"].items():
        assert torch.equal(value, ends[1]["net"][key]), key
    assert ends[0]["max_test_acc"] == ends[1]["max_test_acc"]
    assert scalars(whole / name) == scalars(parts / name)


def test_checkpoints_of_the_original_script_resume(tmp_path):
    run_csnn(tmp_path, "-epochs", "2")
    folder = tmp_path / "T2_b64_adam_lr0.003_c8"
    stored = torch.load(folder / "checkpoint_latest.pth", weights_only=True)
    foreign = {key: stored[key] for key in KEYS} | {"epoch": 0}
    torch.save(foreign, tmp_path / "foreign.pth")
    run_csnn(tmp_path, "-epochs", "2", "-resume", str(tmp_path / "foreign.pth"))


def test_encoder_pictures(tmp_path):
    run_csnn(tmp_path)
    checkpoint = tmp_path / "T2_b64_adam_lr0.003_c8" / "checkpoint_max.pth"
    draw = ["-b", "1", "-resume", str(checkpoint), "-save-es", str(tmp_path)]
    run_csnn(tmp_path, *draw)
    folder = tmp_path / "visualization" / "0"
    names = {f"s_{t}.{suffix}" for t in (0, 1) for suffix in ("png", "pdf", "svg")}
    assert {path.name for path in folder.iterdir()} == names | {"input.png"}
    with Image.open(folder / "input.png") as picture:
        assert picture.size == (112, 112)
    with Image.open(folder / "s_1.png") as picture:
        assert picture.width > 5 * picture.height  # one row of eight maps
        colours = picture.convert("RGB").getcolors(1 << 16) or []
        assert {(0, 0, 0), (255, 255, 255)} <= {colour for _, colour in colours}
    with pytest.raises(SystemExit) as stop:
        run_csnn(tmp_path, *draw)
    assert stop.value.code == 2


def test_columns_are_read_from_left_to_right():
    images = torch.arange(2 * 3 * 4).view(2, 1, 3, 4)
    steps = rsnn_sequential_fmnist.columns(images)
    assert steps.shape == (4, 2, 3)
    assert torch.equal(steps[1, 0], images[0, 0, :, 1])


@pytest.mark.parametrize("model", ["plain", "ss", "fb"])
def test_sequential_networks(tmp_path, model):
    rsnn_sequential_fmnist.main([*SMALL, "-model", model, "-out-dir", str(tmp_path)])
    folder = tmp_path / f"{model}_b64_adam_lr0.003"
    assert torch.load(folder / "checkpoint_max.pth", weights_only=True).keys() >= KEYS
    assert set(scalars(folder)) == TAGS


def test_classify_dvsg(tmp_path):
    small = ["-T", "2", "-b", "8", "-channels", "2", "-out-dir", str(tmp_path)]
    classify_dvsg.main([*SMALL, *small])
    folder = tmp_path / "T2_b8_adam_lr0.01_c2"
    assert torch.load(folder / "checkpoint_max.pth", weights_only=True).keys() >= KEYS
    assert set(scalars(folder)) == TAGS


@pytest.mark.slow
def test_fake_gestures_are_learned(tmp_path):
    classify_dvsg.main(["--fake-data", "-device", "cpu", "-out-dir", str(tmp_path)])
    (folder,) = tmp_path.glob("T4_*")
    assert scalars(folder)["test_acc"][-1] > 0.5  # of eleven classes


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        (["-data-dir", "nowhere"], "-opt: is required"),
        (["-opt", "lion"], "must be sgd or adam, got 'lion'"),
        (["-opt", "sgd"], "-data-dir: is required"),
        (["-opt", "sgd", "-device", "cpu", "-data-dir", "nowhere"], "or try --fake-data"),
        (["-opt", "sgd", "-b", "0"], "argument -b: must be at least 1, got 0"),
        (["-opt", "sgd", "-save-es", "x"], "-save-es: needs -resume"),
        (["--fake-data", "-device", "cpu", "-b", "999"], "less than one batch of 999; lower -b"),
        (["--fake-data", "-device", "cpu", "-resume", "no.pth"], "no.pth does not exist"),
        (["--fake-data", "-device", "gpu7"], "gpu7 is not available"),
    ],
)
def test_bad_input_is_one_line(tmp_path, monkeypatch, capsys, argv, told):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stop:
        conv_fashion_mnist.main([*argv, "-out-dir", "out"])
    said = capsys.readouterr().err
    assert stop.value.code == 2
    assert told in said and said.count("\n") == 1
    assert not list(tmp_path.glob("out/*.pth")) and not list(tmp_path.glob("out/T*"))


def test_earlier_run_is_kept_unless_cleaned(tmp_path, capsys):
    run_csnn(tmp_path)
    before = (tmp_path / "T2_b64_adam_lr0.003_c8" / "checkpoint_latest.pth").stat().st_mtime_ns
    with pytest.raises(SystemExit):
        run_csnn(tmp_path)
    assert re.search("use -resume .* or -clean", capsys.readouterr().err)
    path = tmp_path / "T2_b64_adam_lr0.003_c8" / "checkpoint_latest.pth"
    assert path.stat().st_mtime_ns == before
    run_csnn(tmp_path, "-clean")
    assert path.stat().st_mtime_ns > before


@pytest.mark.parametrize("text", [b"", b"no checkpoint", None])
def test_foreign_files_are_refused(tmp_path, capsys, text):
    path = tmp_path / "x.pth"
    if text is None:
        torch.save({"model": {}}, path)
    else:
        path.write_bytes(text)
    with pytest.raises(SystemExit):
        run_csnn(tmp_path, "-resume", str(path))
    assert "x.pth" in capsys.readouterr().err


def test_checkpoint_of_another_net_is_refused(tmp_path, capsys):
    run_csnn(tmp_path)
    path = tmp_path / "T2_b64_adam_lr0.003_c8" / "checkpoint_latest.pth"
    with pytest.raises(SystemExit):
        run_csnn(tmp_path, "-channels", "4", "-resume", str(path))
    assert "of another model than CSNN" in capsys.readouterr().err


def test_fake_data_beside_other_files(tmp_path, capsys):
    (tmp_path / "mine.txt").touch()
    with pytest.raises(SystemExit):
        run_csnn(tmp_path / "out", "-data-dir", str(tmp_path))
    said = capsys.readouterr().err
    assert "leave --fake-data out" in said and "=True" not in said


def test_command_line():
    module = [sys.executable, "-m", "sj_train.recipes.conv_fashion_mnist"]
    said = subprocess.run([*module, "-h"], capture_output=True, text=True, check=True).stdout
    for flag in ("-T", "-device", "-b", "-epochs", "-j", "-data-dir", "-out-dir", "-resume",
                 "-amp", "-cupy", "-opt", "-momentum", "-lr", "-channels", "-save-es"):  # fmt: skip
        assert f" {flag}" in said
