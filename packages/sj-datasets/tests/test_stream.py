from __future__ import annotations

import pickle

import numpy as np
import pytest

from sj_datasets import SpikeStream, save_vidar_dat
from sj_datasets.errors import FormatError
from sj_datasets.spike_camera import pack_frames

T, H, W = 7, 4, 24


@pytest.fixture
def spikes() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 2, (T, H, W), dtype=np.uint8)


@pytest.fixture(params=["file", "memory"])
def stream(request, tmp_path, spikes) -> SpikeStream:
    if request.param == "memory":
        return SpikeStream.from_array(spikes)
    save_vidar_dat(tmp_path / "a.dat", spikes)
    return SpikeStream(tmp_path / "a.dat", H, W)


def test_it_describes_itself_like_an_array(stream):
    assert len(stream) == T
    assert stream.shape == (T, H, W)
    assert (stream.ndim, stream.dtype, stream.nbytes) == (3, np.uint8, T * H * W // 8)
    assert "(7, 4, 24)" in repr(stream)
    assert stream.filename is None or stream.filename.name == "a.dat"


@pytest.mark.parametrize(
    "index",
    [
        0,
        3,
        -1,
        np.int64(2),
        slice(None),
        slice(2, 5),
        slice(-3, None),
        slice(1, None, 3),
        slice(None, None, -1),
        slice(5, 1, -2),
        slice(4, 4),
        slice(3, 100),
    ],
    ids=str,
)
def test_indexing_equals_indexing_the_decoded_array(stream, spikes, index):
    np.testing.assert_array_equal(stream[index], spikes[index])


@pytest.mark.parametrize(
    "index",
    [(2, 1), (slice(2, 5), slice(1, 3), slice(None, 8)), (slice(None), 3, 23), (-1, slice(2))],
    ids=str,
)
def test_parts_of_frames_are_cut_out(stream, spikes, index):
    np.testing.assert_array_equal(stream[index], spikes[index])


def test_packed_frames_are_eight_pixels_to_the_byte(stream, spikes):
    expected = pack_frames(spikes)
    np.testing.assert_array_equal(stream.packed(), expected)
    np.testing.assert_array_equal(stream.packed(2, 4), expected[2:4])
    assert stream.packed(3, 3).shape == (0, H * W // 8)


@pytest.mark.parametrize("n_frames", [1, 3, 100, None])
def test_chunks_cover_the_stream_in_order(stream, spikes, n_frames):
    blocks = list(stream.chunks(n_frames))
    np.testing.assert_array_equal(np.concatenate(blocks), spikes)
    assert all(len(block) <= (n_frames or T) for block in blocks)


def test_iteration_and_conversion(stream, spikes):
    np.testing.assert_array_equal(np.stack(list(stream)), spikes)
    np.testing.assert_array_equal(np.asarray(stream), spikes)
    assert np.asarray(stream, np.float32).dtype == np.float32


def test_decoded_frames_are_writable_copies(stream, spikes):
    stream[0][:] = 1 - spikes[0]
    np.testing.assert_array_equal(stream[0], spikes[0])


def test_it_travels_to_another_process(stream, spikes):
    other = pickle.loads(pickle.dumps(stream))
    np.testing.assert_array_equal(other[2:5], spikes[2:5])


def test_a_file_stream_pickles_as_its_path(tmp_path):
    save_vidar_dat(tmp_path / "a.dat", np.zeros((100, 80, 80), np.uint8))
    assert len(pickle.dumps(SpikeStream(tmp_path / "a.dat", 80, 80))) < 1000


@pytest.mark.parametrize("index", [T, -T - 1])
def test_a_frame_outside_is_an_index_error(stream, index):
    with pytest.raises(IndexError, match="outside the 7 frames"):
        stream[index]


def test_other_indices_are_type_errors(stream):
    with pytest.raises(TypeError, match="frame number or a slice"):
        stream["x"]
    with pytest.raises(ValueError, match="at least 1"):
        list(stream.chunks(0))
    with pytest.raises(ValueError, match="without a copy"):
        stream.__array__(copy=False)


def test_a_file_that_shrinks_later_is_reported(tmp_path, spikes):
    path = tmp_path / "a.dat"
    save_vidar_dat(path, spikes)
    stream = SpikeStream(path, H, W)
    path.write_bytes(path.read_bytes()[:10])
    for read in (lambda: stream[:], lambda: stream[::3], stream.packed):
        with pytest.raises(FormatError, match="became shorter"):
            read()


@pytest.mark.parametrize(("height", "width"), [(0, 8), (4, -8), (3, 5)])
def test_impossible_sizes_are_refused(tmp_path, height, width):
    (tmp_path / "a.dat").write_bytes(b"12345678")
    with pytest.raises(ValueError, match=r"positive|multiple of 8"):
        SpikeStream(tmp_path / "a.dat", height, width)


def test_a_folder_is_refused(tmp_path):
    with pytest.raises(IsADirectoryError, match="is a folder"):
        SpikeStream(tmp_path, H, W)


def test_a_recording_larger_than_the_memory_limit_is_read_in_chunks(tmp_path):
    resource = pytest.importorskip("resource")
    path = tmp_path / "sparse.dat"
    height, width, n_frames = 512, 512, 1 << 13
    with path.open("wb") as file:
        file.truncate(n_frames * height * width // 8)  # 268 MB packed, 2 GB decoded
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    stream = SpikeStream(path, height, width)
    assert len(stream) == n_frames
    assert sum(int(block.any()) for block, _ in zip(stream.chunks(), range(8), strict=False)) == 0
    assert not stream[-1].any()
    grown_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown_kb < 150_000
