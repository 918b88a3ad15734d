from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from sj_datasets import SpikeStream, load_vidar_dat, save_vidar_dat
from sj_datasets.errors import FormatError
from sj_datasets.spike_camera import merge_vidar_dat

T, H, W = 5, 4, 16


@pytest.fixture
def spikes() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 2, (T, H, W), dtype=np.uint8)


def test_pixels_are_bottom_up_rows_of_least_significant_bits_first(tmp_path):
    frame = np.zeros((1, 2, 8), np.uint8)
    frame[0, 1, 0] = 1  # bottom row first in the file, its column 0 is bit 0
    frame[0, 0, 7] = 1
    save_vidar_dat(tmp_path / "a.dat", frame)
    assert (tmp_path / "a.dat").read_bytes() == bytes([0b00000001, 0b10000000])
    save_vidar_dat(tmp_path / "b.dat", frame, flipud=False)
    assert (tmp_path / "b.dat").read_bytes() == bytes([0b10000000, 0b00000001])


sizes = st.tuples(st.integers(1, 4), st.integers(1, 9), st.integers(1, 24)).filter(
    lambda s: s[1] * s[2] % 8 == 0
)


@settings(deadline=None, max_examples=50)
@given(data=st.data(), dtype=st.sampled_from([np.uint8, np.bool_, np.int64, np.float32]))
def test_writing_then_reading_is_the_identity(tmp_path_factory, data, dtype):
    spikes = data.draw(hnp.arrays(np.uint8, data.draw(sizes), elements=st.integers(0, 1)))
    path = tmp_path_factory.mktemp("dat") / "a.dat"
    save_vidar_dat(path, spikes.astype(dtype))
    read = load_vidar_dat(path, spikes.shape[1], spikes.shape[2])
    assert read.dtype == np.uint8
    np.testing.assert_array_equal(read, spikes)


def test_other_element_types_on_request(tmp_path, spikes):
    save_vidar_dat(tmp_path / "a.dat", spikes)
    read = load_vidar_dat(tmp_path / "a.dat", H, W, dtype=np.float32)
    assert read.dtype == np.float32
    np.testing.assert_array_equal(read, spikes)


def test_remove_head_drops_the_last_sixteen_columns(tmp_path, spikes):
    wide = np.concatenate([spikes, np.ones((T, H, 16), np.uint8)], axis=2)
    save_vidar_dat(tmp_path / "a.dat", wide)
    read = load_vidar_dat(tmp_path / "a.dat", H, W + 16, remove_head=True)
    np.testing.assert_array_equal(read, spikes)
    assert read.flags.c_contiguous
    with pytest.raises(ValueError, match="stored width"):
        load_vidar_dat(tmp_path / "a.dat", H, 16, remove_head=True)


def test_a_stream_and_an_iterator_of_blocks_are_written_as_they_come(tmp_path, spikes):
    save_vidar_dat(tmp_path / "a.dat", SpikeStream.from_array(spikes))
    save_vidar_dat(tmp_path / "b.dat", iter([spikes[:2], spikes[2:]]))
    save_vidar_dat(tmp_path / "c.dat", spikes)
    expected = (tmp_path / "c.dat").read_bytes()
    assert (tmp_path / "a.dat").read_bytes() == expected
    assert (tmp_path / "b.dat").read_bytes() == expected


@pytest.mark.parametrize("width", [32, 20])
def test_a_head_beside_any_width_is_dropped(tmp_path, width):
    spikes = np.random.default_rng(1).integers(0, 2, (3, 4, width), dtype=np.uint8)
    save_vidar_dat(tmp_path / "a.dat", spikes)
    read = load_vidar_dat(tmp_path / "a.dat", 4, width, remove_head=True)
    np.testing.assert_array_equal(read, spikes[:, :, :-16])


def test_several_recordings_follow_each_other(tmp_path, spikes):
    files = [tmp_path / "a.dat", tmp_path / "b.dat"]
    save_vidar_dat(files[0], spikes)
    save_vidar_dat(files[1], spikes[:2])
    joined = np.concatenate([spikes, spikes[:2]])
    np.testing.assert_array_equal(load_vidar_dat(files, H, W), joined)
    floats = load_vidar_dat(files, H, W, dtype=np.float32)
    assert floats.dtype == np.float32
    merged = merge_vidar_dat(files[0], files, H, W)  # also over one of them
    np.testing.assert_array_equal(merged, joined)
    np.testing.assert_array_equal(load_vidar_dat(files[0], H, W), joined)
    with pytest.raises(ValueError, match="list of files is empty"):
        merge_vidar_dat(files[0], [], H, W)


def test_merging_drops_heads(tmp_path, spikes):
    wide = np.concatenate([spikes, np.ones((T, H, 16), np.uint8)], axis=2)
    save_vidar_dat(tmp_path / "a.dat", wide)
    merge_vidar_dat(tmp_path / "b.dat", [tmp_path / "a.dat"] * 2, H, W + 16, remove_head=True)
    read = load_vidar_dat(tmp_path / "b.dat", H, W)
    np.testing.assert_array_equal(read, np.concatenate([spikes, spikes]))


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (np.full((1, 2, 8), 2), "0 or 1, got 2 at frame 0, row 0, column 0"),
        (np.full((1, 2, 8), np.nan), "0 or 1, got nan"),
        (np.zeros((2, 8)), r"shape \[T, H, W\]"),
        (np.zeros((2, 3, 5)), "multiple of 8"),
        (np.zeros((0, 2, 8)), "no frames"),
        (iter([np.zeros((1, 2, 8)), np.zeros((1, 4, 8))]), "change size"),
    ],
    ids=["value", "nan", "ndim", "bytes", "empty", "size-change"],
)
def test_a_refused_write_leaves_the_old_file_and_no_other(tmp_path, bad, message):
    path = tmp_path / "a.dat"
    path.write_bytes(b"old")
    with pytest.raises(ValueError, match=message):
        save_vidar_dat(path, bad)
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.dat"]


def test_values_that_are_not_numbers_are_refused(tmp_path):
    with pytest.raises(TypeError, match="numbers or booleans"):
        save_vidar_dat(tmp_path / "a.dat", np.full((1, 1, 8), "x"))


def test_a_missing_folder_is_named(tmp_path, spikes):
    with pytest.raises(FileNotFoundError, match=r"nowhere.*does not exist"):
        save_vidar_dat(tmp_path / "nowhere" / "a.dat", spikes)


def test_files_that_do_not_fit_the_frame_size_are_refused(tmp_path, spikes):
    path = tmp_path / "a.dat"
    with pytest.raises(FileNotFoundError, match=r"a\.dat: no such file"):
        load_vidar_dat(path, H, W)
    path.write_bytes(b"")
    with pytest.raises(ValueError, match="is empty"):
        load_vidar_dat(path, H, W)
    path.write_bytes(b"1234567")
    with pytest.raises(ValueError, match=r"less than one 4x16 frame \(8 bytes\)"):
        load_vidar_dat(path, H, W)
    save_vidar_dat(path, spikes)
    with path.open("ab") as file:
        file.write(b"123")
    with pytest.raises(
        FormatError, match=r"a\.dat, byte 40: .*frames of 8 bytes: 3 bytes remain after 5 frames"
    ):
        load_vidar_dat(path, H, W)
    np.testing.assert_array_equal(load_vidar_dat(path, H, W, strict=False), spikes)


@pytest.mark.parametrize(
    ("option", "message"),
    [({"version": "rust"}, "'python' or 'cpp'"), ({"out_format": "tensor"}, "sz_models")],
)
def test_unknown_options_are_refused(tmp_path, spikes, option, message):
    save_vidar_dat(tmp_path / "a.dat", spikes)
    with pytest.raises(ValueError, match=message):
        load_vidar_dat(tmp_path / "a.dat", H, W, **option)
