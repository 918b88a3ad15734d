from __future__ import annotations

import numpy as np
import pytest

from sj_datasets import load_vidar_dat
from sj_datasets.spike_camera import (
    BlurConfig,
    SZData,
    SZDataConfig,
    iter_blur_windows,
    read_gray_image,
    simulate_dataset,
)

H, W = 2, 8
SMALL = BlurConfig(num_blur=3, num_inter=1, num_overlap=1)  # windows of 5 frames every 6


def ramp(n_frames: int) -> np.ndarray:
    """Frame k of the video has light k / 100 everywhere."""
    return np.arange(n_frames)[:, None, None] / 100 * np.ones((1, H, W))


def test_the_published_windows_have_97_frames():
    assert (BlurConfig().n_frames, BlurConfig().stride) == (97, 104)


def test_windows_between_the_first_and_the_last():
    # 13 frames give 25: windows at 0 6 12 18, of which 6 and 12 are kept
    windows = list(iter_blur_windows(ramp(13), SMALL))
    assert [w.middle for w in windows] == [8, 14]
    for window in windows:
        light = window.middle / 200
        np.testing.assert_allclose(window.sharp, light)
        np.testing.assert_allclose(window.blur, light)  # a ramp is its own mean
        expected = np.arange(window.middle - 2, window.middle + 3) / 200
        np.testing.assert_allclose(window.light[:, 0, 0], expected)


@pytest.mark.parametrize(("n_frames", "n_windows"), [(8, 0), (9, 1), (11, 1), (12, 2), (0, 0)])
def test_the_number_of_windows(n_frames, n_windows):
    assert len(list(iter_blur_windows(iter(ramp(n_frames)), SMALL))) == n_windows


def test_frames_around_a_window_and_frames_left_out():
    config = BlurConfig(num_blur=3, num_inter=1, num_overlap=1, num_add=2, num_omit=4)
    (window,) = iter_blur_windows(ramp(9), config)
    np.testing.assert_allclose(window.light[:, 0, 0], np.array([4, 8, 12]) / 200)


def test_sizes_change_by_nearest_neighbour():
    video = np.broadcast_to(np.arange(4.0).reshape(1, 2, 2) / 4, (9, 2, 2))
    (window,) = iter_blur_windows(video, BlurConfig(3, 1, 1, rs_ratio=2))
    np.testing.assert_array_equal(window.sharp, video[0].repeat(2, axis=0).repeat(2, axis=1))
    (window,) = iter_blur_windows(video, BlurConfig(3, 1, 1, rs_ratio=0.5))
    np.testing.assert_array_equal(window.sharp, video[0, :1, :1])


def test_another_interpolation():
    held = list(iter_blur_windows(ramp(9), SMALL, interpolate=lambda a, b, n: [a] * n))
    np.testing.assert_allclose(held[0].light[:, 0, 0], np.array([3, 3, 4, 4, 5]) / 100)


def test_a_dataset_is_written_and_read(tmp_path):
    names = simulate_dataset(ramp(12), tmp_path / "train", SMALL, threshold=0.25, rng=0)
    assert names == ["000008", "000014"]
    spikes = load_vidar_dat(tmp_path / "train" / "spike_data" / "000008.dat", H, W)
    assert spikes.shape == (5, H, W)
    blur = read_gray_image(tmp_path / "train" / "blur_data" / "000008.png")
    np.testing.assert_allclose(blur, 0.04, atol=1 / 510)
    cfg = SZDataConfig(root_dir=tmp_path, height=H, width=W, rate=1 / 0.25)
    sample = SZData(cfg).build_source("train")[0]
    np.testing.assert_array_equal(sample["spike"], spikes)
    np.testing.assert_allclose(sample["gt_img"], 0.04, atol=1 / 510)


def test_too_short_a_video_is_refused(tmp_path):
    with pytest.raises(ValueError, match="fewer than 9 frames"):
        simulate_dataset(ramp(8), tmp_path / "train", SMALL)
    assert not list(tmp_path.iterdir())


def test_frames_of_different_sizes_are_refused():
    with pytest.raises(ValueError, match="change size"):
        list(iter_blur_windows([np.zeros((2, 2)), np.zeros((3, 2))]))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_blur": 0}, "num_blur must be at least 1"),
        ({"num_add": 200}, "at most 104"),
        ({"rs_ratio": 0}, "rs_ratio"),
    ],
)
def test_impossible_windows_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        BlurConfig(**options)
