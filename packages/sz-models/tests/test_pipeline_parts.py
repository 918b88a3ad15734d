from __future__ import annotations

import csv
import math
import sys

import numpy as np
import pytest
import torch

from sj_datasets.spike_camera import save_vidar_dat, write_uhsr
from sz_models import psnr
from sz_models.pipeline import PipelineConfig, new_run_folder
from sz_models.pipeline.scores import Scores, as_text, available_metrics
from sz_models.pipeline.sources import as_batch, as_truth, read_recording

# Folders


def test_a_named_run_is_never_overwritten(tmp_path):
    run = new_run_folder(tmp_path, "first")
    (run.path / "kept.txt").write_text("kept")
    with pytest.raises(FileExistsError, match=r"first exists and is kept: choose another exp_name"):
        new_run_folder(tmp_path, "first")
    assert [p.name for p in run.path.iterdir()] == ["kept.txt"]
    assert new_run_folder(tmp_path, "first", "train").path == tmp_path / "train" / "first"


def test_runs_without_a_name_are_all_new(tmp_path):
    paths = {new_run_folder(tmp_path).path for _ in range(20)}
    assert len(paths) == 20
    assert {path.parent for path in paths} == {tmp_path / "detect"}


def test_the_default_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert new_run_folder(exp_name="a").path.resolve() == tmp_path / "results" / "detect" / "a"


@pytest.mark.parametrize("name", ["a/b", "..", "/tmp", "a/"])
def test_a_run_stays_in_its_folder(tmp_path, name):
    with pytest.raises(ValueError, match="one folder name"):
        new_run_folder(tmp_path, name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["", "a"])
def test_a_file_in_the_way_is_an_error(tmp_path, name):
    (tmp_path / "detect").write_text("")
    with pytest.raises(OSError, match="detect"):
        new_run_folder(tmp_path, name)


def test_files_of_a_run(tmp_path):
    run = new_run_folder(tmp_path, "a")
    run.write_config("pipeline", [PipelineConfig(bs_test=3), PipelineConfig()])
    lines = (run.path / "cfg_pipeline.log").read_text().splitlines()
    assert "bs_test = 3" in lines
    assert "bs_test = 1" in lines
    run.log("one")
    run.log("two")
    ends = [line.split()[-1] for line in (run.path / "result.log").read_text().splitlines()]
    assert ends == ["one", "two"]
    path = run.write_table("t", [{"model": "tfp", "psnr": math.inf}, {"model": "a,b", "psnr": 1.5}])
    with path.open(newline="") as file:
        assert list(csv.reader(file)) == [["model", "psnr"], ["tfp", "inf"], ["a,b", "1.5"]]


# Sources


@pytest.fixture
def stream() -> np.ndarray:
    return (np.random.default_rng(0).random((21, 4, 8)) < 0.4).astype(np.uint8)


def test_recordings_are_read_by_suffix(tmp_path, stream):
    save_vidar_dat(tmp_path / "a.dat", stream)
    np.testing.assert_array_equal(read_recording(tmp_path / "a.dat", 4, 8, False)[:], stream)
    wide = np.concatenate([stream, np.ones((21, 4, 16), np.uint8)], axis=2)
    save_vidar_dat(tmp_path / "b.dat", wide)
    np.testing.assert_array_equal(read_recording(tmp_path / "b.dat", 4, 24, True), stream)
    real = np.zeros((3, 250, 250), np.uint8)
    real[:, 13, 236] = 1
    write_uhsr(tmp_path / "c.npz", real)
    picture = read_recording(tmp_path / "c.npz", -1, -1, False)
    assert picture.shape == (3, 224, 224)
    np.testing.assert_array_equal(picture, real[:, 13:237, 13:237])


@pytest.mark.parametrize(
    ("name", "size", "error", "message"),
    [
        ("a.raw", (4, 8), ValueError, r"\.dat or a UHSR \.npz"),
        ("a.dat", (-1, 8), ValueError, "give height and width"),
        ("a.dat", (4, 8), FileNotFoundError, r"a\.dat"),
        ("a.npz", (4, 8), FileNotFoundError, r"a\.npz"),
    ],
)
def test_unreadable_recordings(tmp_path, name, size, error, message):
    with pytest.raises(error, match=message):
        read_recording(tmp_path / name, *size, False)


@pytest.mark.parametrize(("length", "frames"), [(5, (8, 13)), (4, (8, 12)), (21, (0, 21))])
def test_the_middle_frames_are_taken(stream, length, frames):
    expected = torch.from_numpy(stream[slice(*frames)]).float()[None]
    device = torch.device("cpu")
    torch.testing.assert_close(as_batch(stream, length, device), expected)
    torch.testing.assert_close(as_batch(torch.from_numpy(stream)[None], length, device), expected)
    assert as_batch(stream.astype(bool), 100, device).shape == (1, 21, 4, 8)


@pytest.mark.parametrize(
    ("spike", "message"),
    [
        (np.zeros((4, 8)), r"\[T, H, W\] or \[B, T, H, W\], got \[4, 8\]"),
        (np.zeros((0, 4, 8)), "empty"),
        (np.full((3, 4, 8), 2, np.uint8), "0 or 1"),
        (np.full((3, 4, 8), np.nan), "0 or 1"),
        (np.full((3, 4, 8), 0.5), "0 or 1"),
    ],
)
def test_bad_spikes_are_refused(spike, message):
    with pytest.raises(ValueError, match=message):
        as_batch(spike, 41, torch.device("cpu"))


def test_true_images_of_any_kind():
    levels = np.arange(32, dtype=np.uint8).reshape(4, 8) * 8
    spike = torch.zeros(1, 5, 4, 8)
    expected = torch.from_numpy(levels)[None, None] / 255
    for image in (levels, levels[None], torch.from_numpy(levels), levels / 255.0):
        torch.testing.assert_close(as_truth(image, spike), expected)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((4, 9)), r"must have shape \[1, 1, 4, 8\], got \[4, 9\]"),
        (np.zeros((2, 1, 4, 8)), "must have shape"),
        (np.full((4, 8), 200.0), "integers 0..255 or real numbers"),
        (np.full((4, 8), np.nan), "integers 0..255 or real numbers"),
        (np.full((4, 8), 300), "integers 0..255 or real numbers"),
    ],
)
def test_bad_true_images_are_refused(image, message):
    with pytest.raises(ValueError, match=message):
        as_truth(image, torch.zeros(1, 5, 4, 8))


# Scores


def test_scores_average_their_images():
    truth = torch.rand(2, 1, 12, 12, generator=torch.Generator().manual_seed(0))
    scores = Scores(["psnr", "mse"])
    scores.add(truth * 0.9, truth)
    scores.add(truth[:1] * 0.5, truth[:1])
    values = [psnr(0.9 * truth[0], truth[0]), psnr(0.9 * truth[1], truth[1])]
    values.append(psnr(0.5 * truth[0], truth[0]))
    assert [row["psnr"] for row in scores.rows] == pytest.approx(values)
    assert scores.mean()["psnr"] == pytest.approx(sum(values) / 3)
    assert list(scores.mean()) == ["psnr", "mse"]
    assert as_text({"psnr": 31.60321, "ssim": 0.5}) == "psnr 31.6032, ssim 0.5000"


def test_scores_without_truth():
    scores = Scores(["psnr"])
    assert scores.mean() == {}
    scores.add(torch.zeros(1, 1, 12, 12), None)
    assert scores.mean() == {}


def test_missing_libraries_are_told_and_left_out(monkeypatch, caplog):
    monkeypatch.setitem(sys.modules, "pyiqa", None)
    assert available_metrics(["psnr", "niqe", "psnr", "mse"]) == ["psnr", "mse"]
    (record,) = caplog.records
    assert record.getMessage().startswith("niqe is left out: ")
    assert "sz-models[metrics]" in record.getMessage()
    with pytest.raises(ValueError, match="unknown metric"):
        available_metrics(["psnrr"])
