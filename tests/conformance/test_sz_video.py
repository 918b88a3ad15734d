"""Recorded values of reconstructions at many key frames, and of SpikeCV's methods.

SpikeCV truncates 255 times an image to eight bits.  Its interval videos count another interval
than its single frames, as sz-models has it; they are left out.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch

import sj_datasets
from sz_models import classical
from sz_models.reconstruct_video import reconstruct_video

H, W = 250, 400
RECORDINGS = {
    "data": "data.dat",
    "203_part2": "base/train/spike/203_part2_key_id151.dat",
    "203_part3": "base/train/spike/203_part3_key_id151.dat",
}


@pytest.mark.parametrize("recording", RECORDINGS)
def test_integers_at_all_recorded_key_frames(shared: Path, recording):
    path = shared / "data" / "spike-camera" / RECORDINGS[recording]
    stream = sj_datasets.SpikeStream(path, H, W)
    with np.load(shared / "conformance" / "sz" / f"{recording}.npz") as file:
        goldens = dict(file)
    rows = [(w, 150, f"w{w}") for w in (5, 11, 21, 41, 81)]
    rows += [(41, key, f"w41_key{key}") for key in (60, 100, 200, 240)]
    for window in {w for w, _, _ in rows}:
        counts = classical.tfp_video(stream, window, counts=True).numpy()
        intervals = classical.tfi_video(stream, window, intervals=True).numpy()
        for _, key, name in (row for row in rows if row[0] == window):
            image = key - window // 2
            np.testing.assert_array_equal(counts[image], goldens[f"tfp_{name}_count"])
            np.testing.assert_array_equal(intervals[image], goldens[f"tfi_{name}_interval"])


@pytest.mark.parametrize("method", ["tfp", "tfi", "isi"])
def test_every_image_of_a_recording_is_the_single_one(shared: Path, method):
    path = shared / "data" / "spike-camera" / "data.dat"
    frames = torch.from_numpy(sj_datasets.load_vidar_dat(path, H, W))
    video = reconstruct_video(path, method, height=H, width=W)
    for key, image in enumerate(video, 20):
        assert torch.equal(image, getattr(classical, method)(frames, key))


@pytest.fixture(scope="module")
def spikecv(shared: Path) -> dict[str, np.ndarray]:
    with np.load(shared / "conformance" / "sz" / "spikecv_and_dsft.npz") as file:
        return dict(file)


@pytest.fixture(scope="module")
def crop(spikecv) -> torch.Tensor:
    bits = np.unpackbits(spikecv["crop_spikes_bits"], axis=-1, bitorder="little")
    return torch.from_numpy(np.ascontiguousarray(bits[..., :64]))


def test_spikecv_playback(shared: Path, spikecv, crop):
    entry = json.loads((shared / "conformance" / "sz" / "manifest_spikecv.json").read_text())
    counts = classical.tfp_video(crop, 41, counts=True).numpy().astype(int)
    images = (counts * 255 // 41).astype(np.uint8)
    image = images[150 - 20]
    np.testing.assert_array_equal(image, spikecv["spikecv_tfp_frame_key150_half20"])
    cut = images[100:160]
    expected = entry["spikecv_tfp_images_100:200_half20"]
    assert list(cut.shape) == expected["shape"]
    assert hashlib.sha256(cut.tobytes()).hexdigest() == expected["sha256"]
    np.testing.assert_array_equal(cut[::10], spikecv["spikecv_tfp_images_every10"])


def test_spikecv_interval(spikecv, crop):
    interval = classical.tfi_video(crop, 40, intervals=True)[150 - 20].to(torch.int32)
    np.testing.assert_array_equal(255 // interval, spikecv["spikecv_tfi_frame_key150_half20"])


def test_plasticity(spikecv, crop):
    """State and rate within 1e-4; a few levels after equalisation."""
    synapse = classical.ShortTermPlasticity()
    recorded = {20: 0, 60: 1, 119: 2}
    for index, frame in enumerate(crop[:120]):
        synapse.update(frame)
        if index not in recorded:
            continue
        values = {"R": synapse.resources, "u": synapse.utilization, "rate": synapse.rate()}
        for name, value in values.items():
            expected = torch.from_numpy(spikecv[f"tfstp_{name}_t20_60_119"][recorded[index]])
            torch.testing.assert_close(value, expected, rtol=1e-4, atol=0)
        levels = (classical.equalize(synapse.rate()) * 255).round()
        expected = spikecv["tfstp_online_uint8_t20_60_119"][recorded[index]]
        assert np.abs(levels.numpy() - expected).max() <= 3
