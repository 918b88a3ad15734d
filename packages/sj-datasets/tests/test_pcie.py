from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sj_datasets.errors import FormatError
from sj_datasets.spike_camera import count_pcie_frames, read_pcie, write_pcie

T = 3
HALF_ROW, FRAME = 64, 128_000


@pytest.fixture(scope="module")
def spikes() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 2, (T, 1000, 1000), dtype=np.uint8)


@pytest.fixture(scope="module")
def recording(spikes, tmp_path_factory) -> bytes:
    path = tmp_path_factory.mktemp("pcie") / "a.dat"
    write_pcie(path, spikes)
    return path.read_bytes()


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def test_bytes_are_as_described(tmp_path):
    frame = np.zeros((1, 1000, 1000), np.uint8)
    frame[0, 0, [0, 499]] = 1
    frame[0, 999, 500] = 1
    write_pcie(tmp_path / "a.dat", frame)
    half_rows = np.fromfile(tmp_path / "a.dat", np.uint8).reshape(2000, HALF_ROW)
    first, last = half_rows[0], half_rows[-1]
    assert first[0] == 1  # pixel 0 is bit 0 of byte 0
    word = int(first[62]) | int(first[63]) << 8
    assert (word & 0xF, word >> 4 & 0x3FF, word >> 14) == (0b1000, 500, 0)
    word = int(last[62]) | int(last[63]) << 8
    assert (last[0], word >> 4 & 0x3FF, word >> 14) == (1, 500, 3)


def test_writing_then_reading_is_the_identity(tmp_path, spikes, recording):
    path = write(tmp_path / "a.dat", recording)
    assert len(recording) == T * FRAME
    assert count_pcie_frames(path) == T
    read = read_pcie(path)
    assert read.dtype == np.uint8
    np.testing.assert_array_equal(read, spikes)


@pytest.mark.parametrize(("start", "stop"), [(1, 2), (-1, None), (0, 99), (2, 1)])
def test_ranges_are_those_of_slices(tmp_path, spikes, recording, start, stop):
    path = write(tmp_path / "a.dat", recording)
    np.testing.assert_array_equal(read_pcie(path, start, stop), spikes[start:stop])


@pytest.mark.parametrize("cut", [16, 64, 5008, FRAME - 64])
def test_parts_of_frames_at_both_ends_are_skipped(tmp_path, spikes, recording, cut):
    path = write(tmp_path / "a.dat", recording[cut:-HALF_ROW])
    assert count_pcie_frames(path) == T - 2
    np.testing.assert_array_equal(read_pcie(path), spikes[1:2])


def test_pixels_that_look_like_a_beginning_are_not_one(tmp_path):
    frames = np.zeros((2, 1000, 1000), np.uint8)
    word = 500 << 4
    bits = [word >> i & 1 for i in range(16)]
    frames[:, 3, 112:128] = bits  # the last two bytes of a run of 16 bytes
    write_pcie(tmp_path / "a.dat", frames)
    path = write(tmp_path / "a.dat", (tmp_path / "a.dat").read_bytes()[128:])
    np.testing.assert_array_equal(read_pcie(path), frames[1:])


def test_lost_data_are_named(tmp_path, recording):
    path = write(tmp_path / "a.dat", recording[: FRAME + 640] + recording[FRAME + 1280 :])
    np.testing.assert_array_equal(read_pcie(path, 0, 1).shape, (1, 1000, 1000))
    with pytest.raises(FormatError, match=r"a\.dat, byte 128000: frame 1 .* data were lost"):
        read_pcie(path)


def test_a_file_that_shrinks_while_it_is_read_is_reported(tmp_path, recording, monkeypatch):
    path = write(tmp_path / "a.dat", recording)
    monkeypatch.setattr("sj_datasets.spike_camera.pcie._find_frames", lambda path: (0, T + 1))
    with pytest.raises(FormatError, match="byte 384000: the file became shorter"):
        read_pcie(path)


@settings(deadline=None, max_examples=15)
@given(data=st.data())
def test_corrupt_bytes_are_format_errors_or_read(recording, tmp_path_factory, data):
    raw = np.frombuffer(recording, np.uint8).copy()
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    places = rng.integers(0, raw.size, data.draw(st.integers(1, 2000)))
    raw[places] = rng.integers(0, 256, places.size)
    path = write(tmp_path_factory.mktemp("pcie") / "a.dat", raw.tobytes())
    try:
        read = read_pcie(path)
    except FormatError:
        return
    assert read.shape[1:] == (1000, 1000)
    assert read.max() <= 1


@pytest.mark.parametrize("content", [b"", b"x" * 1000, bytes(2 * FRAME)])
def test_files_without_a_frame_are_refused(tmp_path, content):
    path = write(tmp_path / "a.dat", content)
    with pytest.raises(FormatError, match="no whole 1000x1000 frame"):
        read_pcie(path)
    with pytest.raises(FileNotFoundError):
        read_pcie(tmp_path / "b.dat")


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (np.zeros((1, 250, 400)), "1000x1000"),
        (np.zeros((0, 1000, 1000)), "no frames"),
        (np.full((1, 1000, 1000), 3), "0 or 1, got 3"),
    ],
)
def test_bad_spikes_are_not_written(tmp_path, bad, message):
    with pytest.raises(ValueError, match=message):
        write_pcie(tmp_path / "a.dat", bad)
    assert not list(tmp_path.iterdir())
