from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sz_models.classical import gtfp, tfi, tfp

DTYPES = [torch.uint8, torch.bool, torch.int64, torch.float32, torch.float64]


def random_stream(seed: int, n_frames: int, rate: float = 0.2) -> torch.Tensor:
    rng = np.random.default_rng(seed)
    return torch.from_numpy((rng.random((n_frames, 3, 5)) < rate).astype(np.uint8))


def tfi_by_search(stream: torch.Tensor, key: int, window: int) -> torch.Tensor:
    """The definition, pixel by pixel."""
    half = window // 2
    image = torch.empty(stream.shape[1:])
    for y, x in np.ndindex(*image.shape):
        before = [i for i in range(max(key - half + 1, 1), key + 1) if stream[i, y, x] == 1]
        after = [i for i in range(key + 1, key + half + 1) if stream[i, y, x] == 1]
        found = before and after
        image[y, x] = 1 / (after[0] - before[-1]) if found else 1 / (2 * half)
    return image


@settings(deadline=None, max_examples=40)
@given(
    seed=st.integers(0, 1000),
    half=st.integers(1, 12),
    before=st.integers(0, 5),
    after=st.integers(0, 5),
    dtype=st.sampled_from(DTYPES),
)
def test_tfp_and_tfi_follow_their_definitions(seed, half, before, after, dtype):
    stream = random_stream(seed, before + 2 * half + 1 + after)
    key, window = before + half, 2 * half + 1
    mean = stream[key - half : key + half + 1].double().mean(dim=0)
    torch.testing.assert_close(tfp(stream.to(dtype), key, window).double(), mean, rtol=1e-6, atol=0)
    torch.testing.assert_close(
        tfi(stream.to(dtype), key, window).float(), tfi_by_search(stream, key, window)
    )


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_images_have_the_floating_type_of_the_stream(dtype):
    stream = random_stream(0, 9).to(dtype)
    expected = dtype if dtype.is_floating_point else torch.float32
    for image in (tfp(stream, window=3), tfi(stream, window=4), gtfp(stream)):
        assert image.dtype == expected
        assert image.shape == (3, 5)


def test_even_windows_of_tfp_take_one_frame_more():
    stream = random_stream(0, 9)
    torch.testing.assert_close(tfp(stream, window=4), tfp(stream, window=5))


@pytest.mark.parametrize("half", [127, 128, 300])
def test_windows_beyond_eight_bits(half):
    stream = torch.ones(2 * half + 1, 1, 1, dtype=torch.uint8)
    assert tfp(stream, window=2 * half + 1).item() == 1
    stream[1:-1] = 0
    stream[1] = 1
    interval = 2 * half - 1  # from frame 1 to the last frame
    assert tfi(stream, window=2 * half + 1).item() == pytest.approx(1 / interval)


@pytest.mark.parametrize("method", [tfp, tfi, gtfp])
def test_a_batch_is_its_streams_one_by_one(method):
    streams = torch.stack([random_stream(seed, 43) for seed in range(3)])
    batch = method(streams)
    assert batch.shape == (3, 1, 3, 5)
    for image, stream in zip(batch, streams, strict=True):
        torch.testing.assert_close(image[0], method(stream), rtol=0, atol=0)


@settings(deadline=None, max_examples=40)
@given(
    seed=st.integers(0, 1000),
    n_frames=st.integers(1, 120),
    where=st.floats(0, 1),
    sigma=st.floats(0.3, 8),
    rate=st.floats(0.1, 1),
)
def test_gtfp_is_the_clipped_normalised_gaussian_mean(seed, n_frames, where, sigma, rate):
    stream = random_stream(seed, n_frames).double()
    key = int(where * (n_frames - 1))
    k = torch.arange(n_frames, dtype=torch.float64)
    weights = torch.exp(-0.5 * ((k - key) / sigma) ** 2)
    expected = torch.tensordot(weights / weights.sum(), stream, 1) / rate
    image = gtfp(stream, key, sigma=sigma, rate=rate)
    torch.testing.assert_close(image, expected.clamp(0, 1), rtol=1e-12, atol=1e-14)


def test_gtfp_in_a_window_ignores_the_rest():
    stream = random_stream(0, 50)
    part = gtfp(stream[15:26], sigma=3.0)
    torch.testing.assert_close(gtfp(stream, 20, sigma=3.0, window=11), part)


@pytest.mark.parametrize("method", [tfp, tfi, gtfp])
def test_windows_that_leave_the_stream_are_refused(method):
    stream = random_stream(0, 20)
    for key, window in [(3, 9), (16, 9), (10, 21), (10, 41)]:
        with pytest.raises(ValueError, match=r"needs frames .* has frames 0\.\.19"):
            method(stream, key, window=window)
    for key in (-1, 20):
        with pytest.raises(ValueError, match="leaves the stream of 20 frames"):
            method(stream, key, window=3)
    assert method(stream, 10, window=19).shape == (3, 5)


@pytest.mark.parametrize(("method", "window"), [(tfp, 0), (tfi, 1), (gtfp, 0), (tfp, -3)])
def test_windows_too_short_are_refused(method, window):
    with pytest.raises(ValueError, match="window must be at least"):
        method(random_stream(0, 20), window=window)


@pytest.mark.parametrize("option", ["sigma", "rate"])
@pytest.mark.parametrize("value", [0.0, -1.0, math.nan, math.inf])
def test_gtfp_needs_positive_numbers(option, value):
    with pytest.raises(ValueError, match=f"{option} must be a positive number"):
        gtfp(random_stream(0, 20), **{option: value})


def test_other_shapes_are_refused():
    with pytest.raises(ValueError, match=r"\[T, H, W\] or \[B, T, H, W\]"):
        tfp(torch.zeros(41, 5))
