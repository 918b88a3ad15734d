from __future__ import annotations

import logging
import zipfile

import numpy as np
import pytest

from sj_datasets.errors import FormatError
from sj_datasets.frame_files import (
    create_same_directory_structure,
    integrate_events_file_to_frames_file_by_fixed_duration,
    integrate_events_file_to_frames_file_by_fixed_frames_number,
    load_npz_frames,
    np_savez,
)
from sj_datasets.frames import (
    integrate_events_by_fixed_duration,
    integrate_events_by_fixed_frames_number,
)

H, W = 4, 6


@pytest.fixture
def events() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {
        "t": np.arange(20) * 10,
        "x": rng.integers(0, W, 20),
        "y": rng.integers(0, H, 20),
        "p": rng.integers(0, 2, 20),
    }


@pytest.fixture
def recording(tmp_path, events):
    path = tmp_path / "user_led.one.npz"
    np_savez(path, **events)
    (tmp_path / "frames").mkdir()
    return path


def test_a_fixed_number_of_frames_keeps_the_name(recording, events):
    folder = recording.parent / "frames"
    integrate_events_file_to_frames_file_by_fixed_frames_number(
        np.load, recording, folder, "time", 3, H, W, print_save=True
    )
    assert [path.name for path in folder.iterdir()] == ["user_led.one.npz"]
    frames = load_npz_frames(folder / "user_led.one.npz")
    assert frames.dtype == np.float32
    wanted = integrate_events_by_fixed_frames_number(events, "time", 3, H, W)
    np.testing.assert_array_equal(frames, wanted)


def test_a_fixed_duration_puts_the_number_of_frames_into_the_name(recording, events):
    folder = recording.parent / "frames"
    T = integrate_events_file_to_frames_file_by_fixed_duration(np.load, recording, folder, 50, H, W)
    wanted = integrate_events_by_fixed_duration(events, 50, H, W)
    assert len(wanted) == T
    frames = load_npz_frames(folder / f"user_led.one_{T}.npz")
    np.testing.assert_array_equal(frames, wanted)


def test_where_frames_went_is_logged_if_asked(recording, caplog):
    folder = recording.parent / "frames"
    with caplog.at_level(logging.INFO, "sj_datasets"):
        for asked in (False, True):
            integrate_events_file_to_frames_file_by_fixed_duration(
                np.load, recording, folder, 100, H, W, asked
            )
    assert [record.message for record in caplog.records] == [
        f"frames saved to {folder / 'user_led.one_2.npz'}"
    ]


def test_a_failed_integration_leaves_nothing(recording):
    folder = recording.parent / "frames"
    with pytest.raises(ValueError, match="outside"):
        integrate_events_file_to_frames_file_by_fixed_duration(np.load, recording, folder, 50, 1, 1)
    assert list(folder.iterdir()) == []
    with pytest.raises(FileNotFoundError, match="does not exist"):
        integrate_events_file_to_frames_file_by_fixed_duration(
            np.load, recording, folder / "no", 50, H, W
        )


def test_arrays_come_back_and_the_suffix_is_added(tmp_path):
    np_savez(tmp_path / "a", t=[1, 2], x=np.zeros(2, np.uint16))
    with np.load(tmp_path / "a.npz") as arrays:
        assert arrays["t"].tolist() == [1, 2]
        assert arrays["x"].dtype == np.uint16


def test_files_of_other_content_are_named(tmp_path):
    path = tmp_path / "a.npz"
    with pytest.raises(FileNotFoundError, match=r"a\.npz"):
        load_npz_frames(path)
    path.write_bytes(b"no frames")
    with pytest.raises(FormatError, match=r"a\.npz: expected a \.npz"):
        load_npz_frames(path)
    np_savez(path, other=[1])
    with pytest.raises(FormatError, match="frames"):
        load_npz_frames(path)
    np_savez(path, frames=np.arange(1000))
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(FormatError):
        load_npz_frames(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("frames.npy", b"\x93NUMPY\x01\x00nonsense")
    with pytest.raises(FormatError):
        load_npz_frames(path)
    np.save(tmp_path / "b.npy", np.arange(3))
    with pytest.raises(FormatError, match=r"b\.npy: expected a \.npz"):
        load_npz_frames(tmp_path / "b.npy")


def test_folders_are_made_without_their_files(tmp_path):
    source, target = tmp_path / "source", tmp_path / "target"
    (source / "train" / "3").mkdir(parents=True)
    (source / "test").mkdir()
    (source / "train" / "a.npz").touch()
    target.mkdir()
    create_same_directory_structure(source, target)
    create_same_directory_structure(source, target)  # nothing in the way
    made = sorted(path.relative_to(target).as_posix() for path in target.rglob("*"))
    assert made == ["test", "train", "train/3"]
    with pytest.raises(FileNotFoundError):
        create_same_directory_structure(tmp_path / "no", target)
