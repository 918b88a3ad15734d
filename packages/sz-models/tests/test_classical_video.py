"""Images of all key frames against those made one by one."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sj_datasets import SpikeStream
from sz_models import classical

WINDOWED = ["tfp", "tfi", "isi", "gtfp"]


def random_stream(seed: int, n_frames: int, rate: float = 0.2, shape=(3, 5)) -> torch.Tensor:
    rng = np.random.default_rng(seed)
    return torch.from_numpy((rng.random((n_frames, *shape)) < rate).astype(np.uint8))


def one_by_one(method: str, stream: torch.Tensor, window: int, **options) -> torch.Tensor:
    half = window // 2
    single = getattr(classical, method)
    keys = range(half, len(stream) - half)
    return torch.stack([single(stream, key, window=window, **options) for key in keys])


@pytest.mark.parametrize("method", WINDOWED)
@settings(deadline=None, max_examples=25)
@given(
    seed=st.integers(0, 1000),
    half=st.integers(1, 30),
    surplus=st.integers(0, 90),
    rate=st.sampled_from([0.0, 0.02, 0.2, 0.9, 1.0]),
)
def test_every_image_is_the_single_one_bit_for_bit(method, seed, half, surplus, rate):
    stream = random_stream(seed, 2 * half + 1 + surplus, rate)
    window = 2 * half + 1
    video = getattr(classical, f"{method}_video")(stream, window=window)
    assert video.dtype == torch.float32
    assert torch.equal(video, one_by_one(method, stream, window))


@pytest.mark.parametrize("method", WINDOWED)
@pytest.mark.parametrize("window", [127, 128, 191, 193, 255, 257, 301, 600])
def test_windows_beyond_small_integers(method, window):
    stream = random_stream(window, window + 12, 0.01)
    video = getattr(classical, f"{method}_video")(stream, window=window)
    assert torch.equal(video, one_by_one(method, stream, window))


def test_windows_beyond_sixteen_bits():
    stream = torch.zeros(70_003, 1, 2, dtype=torch.uint8)
    stream[[1, 70_000], :, 0] = 1
    assert classical.tfi_video(stream, 70_000, intervals=True)[:, 0].tolist() == [
        [69_999, 70_000],
        [70_000, 70_000],
        [70_000, 70_000],
    ]
    assert (1 / classical.isi_video(stream, 70_003)).round().flatten().tolist() == [69_999, 70_002]


@pytest.mark.parametrize("method", WINDOWED)
def test_blocks_of_pixels_and_keys_join_without_a_seam(method):
    stream = random_stream(0, 150, 0.1, (33, 1024))
    video = getattr(classical, f"{method}_video")(stream, window=5)
    single = getattr(classical, method)
    for key in (2, 65, 66, 67, 147):
        assert torch.equal(video[key - 2], single(stream, key, window=5))


def test_the_whole_stream_as_window_of_gtfp():
    stream = random_stream(0, 150)
    video = classical.gtfp_video(stream, sigma=3.0, rate=0.3)
    assert video.shape == stream.shape
    for key in range(150):
        assert torch.equal(video[key], classical.gtfp(stream, key, sigma=3.0, rate=0.3))


def test_gtfp_over_more_frames_than_a_small_quantum_allows():
    stream = random_stream(0, 1300, 0.3, (1, 4))
    video = classical.gtfp_video(stream, sigma=80.0)
    torch.testing.assert_close(video.mean(), stream.float().mean(), rtol=0.05, atol=0)
    for key in (0, 100, 650, 1299):
        assert torch.equal(video[key], classical.gtfp(stream, key, sigma=80.0))


def test_integers_are_counts_and_intervals():
    stream = random_stream(1, 60)
    counts = classical.tfp_video(stream, 9, counts=True)
    assert counts.dtype == torch.uint8
    assert torch.equal(counts.to(torch.float32) / 9, classical.tfp_video(stream, 9))
    intervals = classical.tfi_video(stream, 9, intervals=True)
    assert intervals.dtype == torch.uint8
    assert torch.equal(intervals.to(torch.float32).reciprocal(), classical.tfi_video(stream, 9))
    assert classical.tfp_video(torch.ones(300, 1, 1), 257, counts=True).unique().tolist() == [257]
    assert classical.tfi_video(torch.zeros(300, 1, 1), 257, intervals=True).dtype == torch.int32


@pytest.mark.parametrize("method", WINDOWED)
def test_streams_of_any_kind_give_the_same(method):
    stream = random_stream(2, 40, shape=(4, 8))
    make = getattr(classical, f"{method}_video")
    expected = make(stream, window=7)
    kinds = [stream.bool(), stream.double(), stream.bfloat16(), stream.to(torch.int64)]
    kinds += [stream.numpy(), stream.numpy().astype(bool), SpikeStream.from_array(stream)]
    kinds += [stream.transpose(1, 2).contiguous().transpose(1, 2)]
    for kind in kinds:
        assert torch.equal(make(kind, window=7), expected)


@pytest.mark.parametrize("method", WINDOWED)
@pytest.mark.parametrize("kind", ["tensor", "array"])
def test_out_is_filled_and_shared(method, kind):
    stream = random_stream(3, 40)
    make = getattr(classical, f"{method}_video")
    out = torch.full((34, 3, 5), -1.0)
    video = make(stream, window=7, out=out if kind == "tensor" else out.numpy())
    assert video.data_ptr() == out.data_ptr()
    assert torch.equal(out, make(stream, window=7))


@pytest.mark.parametrize("method", WINDOWED)
def test_bad_input_is_named(method):
    make = getattr(classical, f"{method}_video")
    with pytest.raises(ValueError, match="window 41 needs 41 frames, but the stream has 40"):
        make(random_stream(0, 40), window=41)
    with pytest.raises(ValueError, match="window must be at least"):
        make(random_stream(0, 40), window=0)
    for bad in (
        2 * torch.ones(9, 2, 2),
        torch.full((9, 2, 2), torch.nan),
        torch.full((9, 2, 2), 3),
    ):
        with pytest.raises(ValueError, match="spikes must be 0 or 1"):
            make(bad, window=3)
    with pytest.raises(ValueError, match="out must be float32"):
        make(random_stream(0, 40), window=3, out=torch.empty(37, 3, 5))


@pytest.mark.parametrize("option", ["sigma", "rate"])
def test_gtfp_needs_positive_numbers(option):
    with pytest.raises(ValueError, match=f"{option} must be a positive number"):
        classical.gtfp_video(random_stream(0, 20), **{option: 0.0})
