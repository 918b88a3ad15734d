"""Pipelines on the recordings, compared with the values recorded from Spike-Zoo."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from statistics import fmean

import numpy as np
import pytest

import sz_models as sz
from sj_datasets.spike_camera import BaseDatasetConfig
from sz_models.pipeline import EnsemblePipeline, EnsemblePipelineConfig, Pipeline, PipelineConfig

RECORDINGS = {
    "203_part2": "base/train/{kind}/203_part2_key_id151",
    "203_part3": "base/train/{kind}/203_part3_key_id151",
    "data": "data",
}
RATE = 0.6


@pytest.fixture
def base(shared: Path, tmp_path: Path) -> BaseDatasetConfig:
    """The three recordings as a test split."""
    for kind, suffix in (("spike", ".dat"), ("gt", ".png")):
        folder = tmp_path / "base" / "test" / kind
        folder.mkdir(parents=True)
        for name, place in RECORDINGS.items():
            source = shared / "data" / "spike-camera" / (place.format(kind=kind) + suffix)
            shutil.copyfile(source, folder / (name + suffix))
    return BaseDatasetConfig(root_dir=tmp_path / "base")


def test_metrics_of_a_dataset(base, goldens, tmp_path):
    entries = json.loads((goldens / "sz" / "manifest_dat.json").read_text())
    cfg = EnsemblePipelineConfig(
        save_folder=tmp_path, metric_names=["psnr", "ssim", "mse"], zoo_compat=True
    )
    means = EnsemblePipeline(cfg, ["tfp", "tfi"], base).cal_metrics()
    for method, values in means.items():
        for name, value in values.items():
            recorded = [
                entries[recording]["metrics_rate0.6"][f"{method}_w41"][name]
                for recording in RECORDINGS
            ]
            assert value == pytest.approx(fmean(recorded), abs=1e-4)


def test_a_dataset_a_file_and_an_array_give_one_image(base, tmp_path):
    pipeline = Pipeline(PipelineConfig(save_folder=tmp_path, metric_names=["psnr"]), "tfp", base)
    spike, truth = (Path(base.root_dir) / "test" / f for f in ("spike/data.dat", "gt/data.png"))
    file = pipeline.infer_from_file(spike, 250, 400, rate=RATE, img_path=truth)
    array = pipeline.infer_from_spk(sz.load_vidar_dat(spike, 250, 400), RATE)
    for out in (pipeline.infer_from_dataset(2), array):
        np.testing.assert_array_equal(out.cpu(), file.cpu())
    table = pipeline.folder.path / "infer_from_file" / "data.dat" / "metrics.csv"
    assert float(table.read_text().split(",")[-1]) == pytest.approx(31.6032, abs=1e-4)


def test_the_real_recording(shared, goldens, tmp_path):
    entry = json.loads((goldens / "sz" / "manifest_misc.json").read_text())["uhsr"]
    cfg = PipelineConfig(save_folder=tmp_path, exp_name="uhsr")
    whole = sz.TFPConfig(model_params={"model_win_length": 199})
    pipeline = Pipeline(cfg, whole, "uhsr")
    out = pipeline.infer_from_file(shared / "data" / "spike-camera" / "uhsr.npz")
    assert list(out.shape) == [1, 1, *entry["crop_13_237_shape"][1:]]
    assert out.mean().item() == pytest.approx(entry["crop_mean"], rel=0.01)
    assert (pipeline.folder.path / "infer_from_file" / "uhsr.npz" / "tfp.png").is_file()
