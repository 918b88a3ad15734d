"""Recorded values of spike-camera datasets: UHSR files, augmentation, samples, central frames.

The values come from Spike-Zoo. Streams shorter than what is asked for are ValueErrors here.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from sj_datasets.spike_camera import (
    BaseDataset,
    BaseDatasetConfig,
    augment,
    build_dataset_cfg,
    read_uhsr,
)


def sha256(array: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()


@pytest.fixture(scope="module")
def misc(goldens: Path) -> dict:
    return json.loads((goldens / "sz" / "manifest_misc.json").read_text())


def test_the_real_recording(shared: Path, misc):
    path = shared / "data" / "spike-camera" / "uhsr.npz"
    entry = misc["uhsr"]
    whole = read_uhsr(path, crop=False)
    assert list(whole.spikes.shape) == entry["spk"]["shape"]
    assert (int(whole.spikes.sum()), sha256(whole.spikes)) == (
        entry["spk_sum"],
        entry["spk_sha256"],
    )
    assert (whole.label, whole.label_name) == (entry["label_value"], entry["label_name_value"])
    crop = read_uhsr(path).spikes
    assert list(crop.shape) == entry["crop_13_237_shape"]
    assert (int(crop.sum()), sha256(crop)) == (entry["crop_sum"], entry["crop_sha256_uint8"])


@pytest.mark.parametrize("mode", range(8))
@pytest.mark.parametrize("square", [True, False])
def test_augmentation_modes(misc, mode, square):
    """The recorded grid is square; whether odd modes rotate depends on the frames."""
    table = misc["augment_3x3_first_channel_0..8"]
    grid = np.arange(9).reshape(1, 3, 3)
    if square:
        np.testing.assert_array_equal(augment(grid, mode)[0], table[f"rot1_mode{mode}"])
        return
    padded = np.concatenate([grid, grid[:, :, :1]], axis=2)  # 3x4: not square
    np.testing.assert_array_equal(augment(padded, mode), augment(padded, mode - mode % 2))
    np.testing.assert_array_equal(augment(grid, mode - mode % 2)[0], table[f"rot0_mode{mode}"])


def crop_rows() -> list[tuple[int, int]]:
    return [(length, n) for length in (41, 200, 61, 10) for n in (301, 300, 200, 41, 61, 10, 9)]


@pytest.mark.parametrize(("length", "n_frames"), crop_rows())
def test_central_frames(misc, tmp_path, length, n_frames):
    expected = misc["crop_spike_length_first_last_count"][f"L{length}_T{n_frames}"]

    class Numbered(BaseDataset):
        """The stream of frame numbers."""

        def prepare_data(self) -> None:
            self.spike_list = [tmp_path]

        def load_spike(self, idx: int) -> np.ndarray:
            return np.arange(n_frames).reshape(-1, 1, 1)

    cfg = BaseDatasetConfig(
        root_dir=tmp_path, with_img=False, spike_length_test=length, dataset_cls_local=Numbered
    )
    dataset = build_dataset_cfg(cfg).build_source("test")
    if expected == "AssertionError":
        with pytest.raises(ValueError, match=f"holds {n_frames} frames"):
            dataset[0]
        return
    frames = dataset[0]["spike"].ravel().astype(int).tolist()
    assert [frames[0], frames[-1], len(frames)] == expected


def test_the_published_streams(shared: Path, goldens: Path):
    entries = json.loads((goldens / "sz" / "manifest_dat.json").read_text())
    cfg = BaseDatasetConfig(root_dir=shared / "data" / "spike-camera" / "base")
    dataset = BaseDataset(cfg).build_source("train")
    assert len(dataset) == 2
    for sample, name in zip(dataset, ("203_part2", "203_part3"), strict=True):
        entry = entries[name]
        assert sample["spike"].shape == (entry["frames"], entry["height"], entry["width"])
        assert sha256(sample["spike"].astype(np.uint8)) == entry["sha256_uint8_THW"]
        assert sha256(sample["gt_img"]) == entry["gt_sha256_float32"]
        assert sample["rate"] == 0.6
