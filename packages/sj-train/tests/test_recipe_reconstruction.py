from __future__ import annotations

import pytest
import torch
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from sj_train.recipes import train_reconstruction

FAKE = ["--fake-data", "--device", "cpu", "--height", "16", "--width", "16", "--epochs", "1"]


def train(out, *more: str) -> None:
    train_reconstruction.main([*FAKE, "--output-dir", str(out), *more])


def test_losses_scores_and_pictures_of_each_epoch(tmp_path):
    train(tmp_path, "--epochs", "2", "--loss", "l1=1", "l2=0.5", "--visuals", "2")
    folder = tmp_path / "base_base_b2_e2_lr0.001_seed2020"
    stored = torch.load(folder / "checkpoint_max.pth", weights_only=True)
    assert {"net", "optimizer", "lr_scheduler", "epoch", "max_test_psnr"} <= stored.keys()
    log = EventAccumulator(str(folder)).Reload()
    tags = {"train_loss", "train_l1", "train_l2", "test_psnr", "test_ssim"}
    assert tags <= set(log.Tags()["scalars"])
    assert len(log.Scalars("test_psnr")) == 2
    assert stored["max_test_psnr"] == pytest.approx(max(e.value for e in log.Scalars("test_psnr")))
    for epoch in (0, 1):
        with Image.open(folder / "visuals" / f"epoch_{epoch}.png") as sheet:
            assert sheet.size == (2 * 128 + 4, 2 * 128 + 4)  # made and true, two streams


def test_resumed_run_equals_an_uninterrupted_one(tmp_path, monkeypatch):
    train(tmp_path / "whole", "--epochs", "2")
    name = "base_base_b2_e2_lr0.001_seed2020"

    class Killed(Exception):
        pass

    saved = train_reconstruction.ScriptRun.save

    def save_and_die(self, folder, *, improved):
        saved(self, folder, improved=improved)
        raise Killed

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(train_reconstruction.ScriptRun, "save", save_and_die)
        train(tmp_path / "parts", "--epochs", "2")
    latest = tmp_path / "parts" / name / "checkpoint_latest.pth"
    train(tmp_path / "parts", "--epochs", "2", "--resume", str(latest))
    nets = [
        torch.load(tmp_path / run / name / "checkpoint_latest.pth", weights_only=True)["net"]
        for run in ("whole", "parts")
    ]
    assert all(torch.equal(value, nets[1][key]) for key, value in nets[0].items())


def test_fake_frames_hold_the_crops(tmp_path):
    words = ["--fake-data", "--device", "cpu", "--epochs", "1", "--output-dir", str(tmp_path)]
    train_reconstruction.main([*words, "--crop-size", "44"])
    (sheet,) = tmp_path.rglob("epoch_0.png")
    with Image.open(sheet) as picture:
        assert picture.width == 2 * 96 + 4  # 48 pixels, twice as large


def test_fake_frames_of_two_sizes_in_one_folder(tmp_path):
    train(tmp_path)
    train(tmp_path, "--width", "24", "--clean")
    assert len(list((tmp_path / "fake_data").iterdir())) == 2


def test_clean_removes_the_pictures_of_the_earlier_run(tmp_path):
    train(tmp_path)
    folder = tmp_path / "base_base_b2_e1_lr0.001_seed2020"
    (folder / "visuals" / "epoch_7.png").touch()
    (folder / "visuals" / "mine.png").touch()
    train(tmp_path, "--clean")
    assert {p.name for p in (folder / "visuals").iterdir()} == {"epoch_0.png", "mine.png"}


def test_network_with_losses_of_its_own(tmp_path):
    train(tmp_path, "--method", "ssml")
    log = EventAccumulator(str(tmp_path / "ssml_base_b2_e1_lr0.001_seed2020")).Reload()
    assert {"train_bsn_loss_l1", "train_mutual_loss_l1"} <= set(log.Tags()["scalars"])


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (["--method", "bfs"], "'bfs'"),
        (["--method", "tfp"], "--method: tfp has nothing to train"),
        (["--loss", "l3"], "'l3'"),
        (["--loss", "l1=much"], "'l1=much' is no NAME=WEIGHT"),
        (["--dataset", "rads"], "no dataset 'rads'"),
        (["-b", "99"], "less than one batch of 99; lower --batch-size"),
        (["--resume", "nowhere.pth"], "nowhere.pth does not exist"),
    ],
)
def test_bad_input_is_one_line(tmp_path, capsys, more, told):
    with pytest.raises(SystemExit) as stop:
        train(tmp_path, *more)
    said = capsys.readouterr().err
    assert stop.value.code == 2
    assert told in said and said.count("\n") == 1
    assert not list(tmp_path.rglob("*.pth"))


def test_missing_streams(tmp_path, capsys):
    argv = ["--device", "cpu", "--output-dir", str(tmp_path)]
    for more, told in (([], "--data-path: is required"), (["--data-path", "no"], "no folder no")):
        with pytest.raises(SystemExit) as stop:
            train_reconstruction.main([*argv, *more])
        assert stop.value.code == 2
        said = capsys.readouterr().err
        assert told in said and "=True" not in said
    assert "name their folder with --data-path, or try --fake-data" in said
