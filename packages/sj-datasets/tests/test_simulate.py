from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sj_datasets import simulate_image, simulate_spikes
from sj_datasets.spike_camera import iter_spikes


def closed_form(light: np.ndarray, threshold: float, initial: np.ndarray) -> np.ndarray:
    counts = np.floor((initial + np.cumsum(light, axis=0)) / threshold)
    return np.diff(counts, axis=0, prepend=np.zeros_like(counts[:1]))


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 2**32 - 1),
    threshold=st.sampled_from([1.0, 1.5, 2.0, 5.0]),
    n_frames=st.integers(1, 40),
)
def test_spikes_are_the_differences_of_the_floored_integral(seed, threshold, n_frames):
    rng = np.random.default_rng(seed)
    light = rng.integers(0, 257, (n_frames, 2, 3)) / 256  # exact in binary
    initial = rng.integers(0, int(threshold * 256), (2, 3)) / 256
    spikes = simulate_spikes(light, threshold, initial=initial)
    assert spikes.dtype == np.uint8
    np.testing.assert_array_equal(spikes, closed_form(light, threshold, initial))


def test_light_above_threshold_saturates_and_the_surplus_fires_later():
    light = np.array([1.0, 1.0, 0.0, 0.0, 0.0]).reshape(-1, 1, 1)
    spikes = simulate_spikes(light, 0.5, initial=0.0)
    assert spikes.ravel().tolist() == [1, 1, 1, 1, 0]


def test_mean_rate_is_light_over_threshold():
    image = np.linspace(0, 1, 64).reshape(8, 8)
    spikes = simulate_image(image, 2000, rng=0)
    np.testing.assert_allclose(spikes.mean(axis=0), image / 2, atol=1e-3)


def test_a_seed_decides_the_stream_and_a_generator_moves_on():
    image = np.full((4, 8), 0.3)
    first = simulate_image(image, 20, rng=7)
    np.testing.assert_array_equal(first, simulate_image(image, 20, rng=7))
    rng = np.random.default_rng(7)
    np.testing.assert_array_equal(first, simulate_image(image, 20, rng=rng))
    assert (first != simulate_image(image, 20, rng=rng)).any()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_unsigned_integers_are_scaled_by_their_largest_value(dtype):
    top = np.iinfo(dtype).max
    frames = np.array([[[0, top, top // 5]]] * 10, dtype=dtype)
    expected = simulate_spikes(frames / top, initial=0.0)
    np.testing.assert_array_equal(simulate_spikes(frames, initial=0.0), expected)


def test_booleans_are_dark_and_bright():
    spikes = simulate_spikes(np.ones((4, 1, 1), bool), initial=0.0)
    assert spikes.ravel().tolist() == [0, 1, 0, 1]


@pytest.mark.parametrize("chunk_frames", [1, 3, 64])
def test_blocks_join_to_the_whole_stream(chunk_frames):
    video = np.random.default_rng(1).random((10, 3, 4))
    blocks = list(iter_spikes(iter(video), rng=2, chunk_frames=chunk_frames))
    assert all(len(block) <= chunk_frames for block in blocks)
    whole = simulate_spikes(video, rng=2)
    np.testing.assert_array_equal(np.concatenate(blocks), whole)
    np.testing.assert_array_equal(simulate_spikes(iter(video), rng=2), whole)


def test_an_endless_video_is_simulated_as_it_comes():
    blocks = iter_spikes(itertools.repeat(np.ones((2, 2))), 1.0, initial=0.0, chunk_frames=5)
    assert next(blocks).all()
    assert next(blocks).shape == (5, 2, 2)


LIGHT = np.full((3, 2, 2), 0.5)


@pytest.mark.parametrize(
    ("video", "options", "error", "message"),
    [
        (LIGHT * 255, {}, ValueError, "divide by 255"),
        (-LIGHT, {}, ValueError, r"\[0, 1\]"),
        (LIGHT * np.nan, {}, ValueError, r"\[0, 1\]"),
        (np.ones((3, 2, 2), np.int64), {}, TypeError, "unsigned integers"),
        (LIGHT[0], {}, ValueError, r"\[T, H, W\]"),
        (LIGHT[:0], {}, ValueError, "no frames"),
        (iter([LIGHT[0], LIGHT[0, :1]]), {}, ValueError, "change size"),
        (iter([LIGHT]), {}, ValueError, r"\[H, W\]"),
        (LIGHT, {"threshold": 0}, ValueError, "positive"),
        (LIGHT, {"threshold": float("nan")}, ValueError, "positive"),
        (LIGHT, {"initial": 2.0}, ValueError, r"\[0, threshold\)"),
        (LIGHT, {"initial": np.zeros((5, 5))}, ValueError, "shape"),
        (LIGHT, {"initial": 0.0, "rng": 0}, ValueError, "not both"),
    ],
)
def test_bad_input_is_refused(video, options, error, message):
    with pytest.raises(error, match=message):
        simulate_spikes(video, **options)


def test_bad_lengths_are_refused():
    with pytest.raises(ValueError, match="at least 1"):
        simulate_image(LIGHT[0], 0)
    with pytest.raises(ValueError, match="at least 1"):
        next(iter_spikes(LIGHT, chunk_frames=0))
