"""Spike trains of SHD and SSC against recorded frames.

Where a key ``f64_*`` exists it binds, not its twin computed in float16.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sj_datasets.config import NeuromorphicDatasetConfig
from sj_datasets.formats.spike_trains import SpikeTrainFile, write_spike_trains
from sj_datasets.frames import integrate_spikes_by_fixed_duration
from sj_datasets.shd import SpikingHeidelbergDigits
from sj_datasets.spike_train_frames import SpikeIntegrator

SAMPLES = range(3)
CASES = [
    "number_5", "number_10", "time_5", "f64_time_10", "f64_duration_50", "f64_duration_100",
]  # fmt: skip
# Computed in float16. The first has no twin in float64; its rounding moved two spikes of sample 0.
ROUNDED_CASES = ["duration_333", "duration_50", "duration_100"]


@pytest.fixture(scope="module")
def folder(goldens: Path) -> Path:
    return goldens / "datasets"


@pytest.fixture(scope="module")
def recorded(folder: Path) -> dict[str, np.ndarray]:
    with np.load(folder / "shd_like.npz") as arrays:
        return dict(arrays)


def arguments(case: str) -> dict[str, Any]:
    kind, value = case.removeprefix("f64_").split("_")
    if kind == "duration":
        return {"duration": int(value)}
    return {"frames_number": int(value), "split_by": kind}


def integrated(recorded: dict[str, np.ndarray], sample: int, case: str) -> np.ndarray:
    cfg = NeuromorphicDatasetConfig(Path(), data_type="frame", **arguments(case))
    t, x = (recorded[f"s{sample}_{name}"] for name in "tx")
    return SpikeIntegrator(cfg, 700)(t, x)


def test_every_recorded_case_is_known(recorded):
    binding = {key.split("_", 1)[1] for key in recorded} - {"t", "x"}
    twins = {case.removeprefix("f64_") for case in CASES if case.startswith("f64_")}
    assert binding - twins == set(CASES) | {"duration_333"}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("sample", SAMPLES)
def test_frames_are_the_recorded_ones(recorded, sample, case):
    np.testing.assert_array_equal(integrated(recorded, sample, case), recorded[f"s{sample}_{case}"])


@pytest.mark.parametrize("case", ROUNDED_CASES)
@pytest.mark.parametrize("sample", SAMPLES)
def test_with_rounded_milliseconds_the_rounded_frames_come_out(recorded, sample, case):
    t, x = (recorded[f"s{sample}_{name}"] for name in "tx")
    milliseconds = np.float16(1000) * t
    frames = integrate_spikes_by_fixed_duration(
        milliseconds - milliseconds[0], x, arguments(case)["duration"], 700
    )
    np.testing.assert_array_equal(frames, recorded[f"s{sample}_{case}"])


@pytest.mark.parametrize("sample", [1, 2])
def test_333_milliseconds_are_as_recorded_where_rounding_moves_nothing(recorded, sample):
    np.testing.assert_array_equal(
        integrated(recorded, sample, "duration_333"), recorded[f"s{sample}_duration_333"]
    )


@pytest.mark.parametrize("sample", SAMPLES)
def test_the_file_holds_the_recorded_trains(folder, recorded, sample):
    manifest = json.loads((folder / "frames_manifest.json").read_text())["shd_sample.h5"]
    with SpikeTrainFile(folder / "shd_sample.h5") as file:
        assert file.labels.tolist() == manifest["labels"]
        for name, column in zip("tx", file[sample], strict=True):
            assert column.dtype == recorded[f"s{sample}_{name}"].dtype
            np.testing.assert_array_equal(column, recorded[f"s{sample}_{name}"])


def test_a_written_file_reads_like_the_recorded_one(folder, tmp_path):
    with SpikeTrainFile(folder / "shd_sample.h5") as file:
        write_spike_trains(
            tmp_path / "a.h5", list(file), file.labels, speakers=file.speakers, keys=file.keys or ()
        )
        with SpikeTrainFile(tmp_path / "a.h5") as again:
            assert again.keys == file.keys
            for mine, theirs in zip(again, file, strict=True):
                for a, b in zip(mine, theirs, strict=True):
                    np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("case", CASES)
def test_the_dataset_caches_the_recorded_frames(folder, recorded, tmp_path, case):
    (tmp_path / "events_h5").mkdir()
    (tmp_path / "events_h5/shd_train.h5").symlink_to(folder / "shd_sample.h5")
    data = SpikingHeidelbergDigits(tmp_path, True, "frame", **arguments(case))
    for sample in SAMPLES:
        np.testing.assert_array_equal(data[sample][0], recorded[f"s{sample}_{case}"])
