from __future__ import annotations

import numpy as np
import pytest

from sj_datasets import simulate_image, simulate_spikes
from sj_datasets.spike_camera import SensorNoise, iter_spikes

T, H, W = 200, 64, 64
LIGHT = np.full((H, W), 0.5)


def counts(noise: SensorNoise, threshold: float = 2.0, light: np.ndarray = LIGHT) -> np.ndarray:
    spikes = simulate_image(light, T, threshold, rng=0, noise=noise)
    assert spikes.dtype == np.uint8
    return spikes.sum(axis=0, dtype=np.int64)


def within(value: float, expected: float, deviation: float) -> bool:
    """Five standard deviations."""
    return abs(value - expected) < 5 * deviation


def test_no_noise_is_the_ideal_sensor():
    ideal = simulate_image(LIGHT, 40, rng=3)
    np.testing.assert_array_equal(simulate_image(LIGHT, 40, rng=3, noise=SensorNoise()), ideal)


def test_shot_noise_keeps_the_mean_and_has_poisson_variance():
    photons, threshold = 20.0, 2.0
    n = counts(SensorNoise(photons=photons), threshold)
    mean = T * 0.5 / threshold
    # a uniform initial integral adds at most 1/4 to the variance of a floored count
    variance = T * 0.5 / (photons * threshold**2)
    assert within(n.mean(), mean, np.sqrt((variance + 0.25) / n.size))
    spread = variance * np.sqrt(2 / n.size)
    assert variance - 5 * spread < n.var() < variance + 0.25 + 5 * spread


def test_dark_current_fires_in_darkness():
    n = counts(SensorNoise(dark_current=0.1), light=np.zeros((H, W)))
    np.testing.assert_allclose(n, T * 0.1 / 2, atol=1)
    patterned = SensorNoise(dark_current=0.1, dark_mismatch=0.5)
    n = counts(patterned, light=np.zeros((H, W)))
    assert within(n.mean(), 10, 5 / np.sqrt(n.size))
    assert n.std() == pytest.approx(5, rel=0.1)


def test_mismatch_is_a_fixed_pattern():
    spread = 0.1
    ideal = T * 0.25
    for noise, mean in (
        (SensorNoise(response_mismatch=spread), ideal),
        (SensorNoise(threshold_mismatch=spread), ideal / (1 - spread**2)),  # mean of 1 / gamma
    ):
        n = counts(noise)
        assert within(n.mean(), mean, ideal * spread / np.sqrt(n.size))
        assert n.std() / n.mean() == pytest.approx(spread, rel=0.1)
        halves = simulate_image(LIGHT, T, rng=0, noise=noise).reshape(2, T // 2, H * W)
        first, second = halves.sum(axis=1, dtype=float)
        assert np.corrcoef(first, second)[0, 1] > 0.8


def test_read_noise_moves_spikes_but_not_the_rate():
    n = counts(SensorNoise(read_noise=0.05))
    np.testing.assert_allclose(n, T * 0.25, atol=2)
    noisy = simulate_image(LIGHT, T, rng=0, noise=SensorNoise(read_noise=0.05))
    assert (noisy != simulate_image(LIGHT, T, rng=0)).any()


def test_a_hard_reset_loses_the_surplus():
    light = np.full((12, 1, 1), 0.75)
    spikes = simulate_spikes(light, initial=0.0, rng=0, noise=SensorNoise(hard_reset=True))
    # 0.75 1.5 2.25 -> 0: every third frame, where the ideal sensor fires 3 times in 8
    assert spikes.ravel().tolist() == [0, 0, 1] * 4


ALL = SensorNoise(50, 0.02, 0.3, 0.05, 0.05, 0.02, True)


def test_a_seed_decides_the_noise_whatever_the_block_length():
    video = np.random.default_rng(1).random((10, 3, 4))
    whole = simulate_spikes(video, rng=2, noise=ALL)
    np.testing.assert_array_equal(whole, simulate_spikes(video, rng=2, noise=ALL))
    blocks = list(iter_spikes(iter(video), rng=2, noise=ALL, chunk_frames=3))
    np.testing.assert_array_equal(np.concatenate(blocks), whole)
    assert (whole != simulate_spikes(video, rng=3, noise=ALL)).any()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"photons": 0}, "photons"),
        ({"photons": float("inf")}, "photons"),
        ({"dark_current": -1}, "dark_current must be at least 0, got -1"),
        ({"threshold_mismatch": float("nan")}, "threshold_mismatch"),
    ],
)
def test_impossible_noise_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        SensorNoise(**options)


def test_a_mismatch_too_small_to_show_is_none():
    tiny = SensorNoise(threshold_mismatch=1e-200, response_mismatch=1e-12)
    ideal = simulate_image(LIGHT, 40, rng=3)
    np.testing.assert_array_equal(simulate_image(LIGHT, 40, rng=3, noise=tiny), ideal)
