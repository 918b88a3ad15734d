from __future__ import annotations

import contextlib
import errno
import os

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sj_datasets import cache
from sj_datasets.cache import (
    FrameLoader,
    load_array,
    load_events,
    load_frames,
    save_array,
    save_events,
    save_frames,
    smallest_dtype,
)
from sj_datasets.errors import FormatError
from sj_datasets.events import Events


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        ([0, 255], "u1"),
        ([0, 256], "u2"),
        ([0, 65536], "u4"),
        ([0, 2**40], "u8"),
        ([True, False], "u1"),
        ([0.0, 3.0], "u1"),
        ([0.0, 300.0], "u2"),
        ([-1, 127], "i1"),
        ([-1, 128], "i2"),
        ([-129, -1], "i2"),
        ([-1, 2**40], "i8"),
        ([0.0, 0.5], "f8"),
        ([-1.0, 0.0], "f8"),
        ([np.nan, 0.0], "f8"),
        ([np.inf, 0.0], "f8"),
        ([2.0**60, 0.0], "f8"),
        ([], "u1"),
    ],
)
def test_the_smallest_type_that_loses_nothing(values, dtype):
    array = np.array(values)
    assert smallest_dtype(array) == np.dtype(dtype)
    np.testing.assert_array_equal(array.astype(dtype).astype(array.dtype), array)


def test_half_floats_stay_half_floats():
    assert smallest_dtype(np.array([0.5], np.float32)) == np.float32


def test_frames_must_be_numbers():
    with pytest.raises(TypeError, match="must be numbers"):
        smallest_dtype(np.array(["a"]))
    with pytest.raises(TypeError, match="must be numbers"):
        smallest_dtype(np.array([1j]))


@given(
    hnp.arrays(
        st.sampled_from(["u1", "u2", "i4", "i8", "f4", "f8"]),
        hnp.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=3),
    )
)
def test_frames_come_back_exactly(tmp_path_factory, frames):
    path = tmp_path_factory.mktemp("f") / "a.npy"
    save_frames(path, frames)
    back = load_frames(path, frames.dtype)
    np.testing.assert_array_equal(back, frames)
    assert back.flags.writeable and back.flags.owndata and back.dtype == frames.dtype


def test_frames_load_as_the_type_asked_for(tmp_path):
    path = tmp_path / "a.npy"
    save_frames(path, np.full((2, 2, 3, 3), 300))
    assert np.load(path).dtype == np.uint16
    assert load_frames(path).dtype == np.float32
    assert FrameLoader(np.dtype("f8"))(path).dtype == np.float64
    assert load_frames(path, np.uint16)[0, 0, 0, 0] == 300
    with pytest.raises(ValueError, match="reach from 300 to 300, which dtype uint8 cannot hold"):
        load_frames(path, np.uint8)
    save_frames(path, np.full((1, 2, 3, 3), 200))
    assert load_frames(path, np.int16).max() == 200


def test_frames_of_other_libraries_are_read(tmp_path):
    path = tmp_path / "a.npz"
    frames = np.arange(8.0).reshape(2, 2, 2, 1)
    np.savez_compressed(path, frames=frames)
    back = load_frames(path)
    assert back.dtype == np.float32
    np.testing.assert_array_equal(back, frames)
    np.savez(path, other=frames)
    with pytest.raises(FormatError, match="'frames', the archive has other"):
        load_frames(path)


def test_events_come_back_as_a_dict(tmp_path):
    events = Events.from_arrays(t=[5, 2**40], x=[1, 2], y=[3, 4], p=[0, 1])
    save_events(tmp_path / "a.npy", events)
    back = load_events(tmp_path / "a.npy")
    assert type(back) is dict and list(back) == ["t", "x", "y", "p"]
    for key, column in back.items():
        np.testing.assert_array_equal(column, events[key])
        assert column.flags.c_contiguous and column.flags.writeable
    assert [back[key].dtype for key in "txyp"] == ["i8", "u2", "u2", "u1"]


def test_events_of_other_libraries_are_read(tmp_path):
    columns = {key: np.array([1, 2, 3], np.uint32) for key in "txyp"}
    np.savez_compressed(tmp_path / "a.npz", **columns, extra=np.zeros(1))
    back = load_events(tmp_path / "a.npz")
    assert list(back) == ["t", "x", "y", "p"] and back["t"].dtype == np.uint32
    structured = np.zeros(3, [("t", "<i4"), ("x", "i1"), ("y", "i1"), ("p", "i1")])
    np.save(tmp_path / "b.npy", structured)
    assert load_events(tmp_path / "b.npy")["t"].dtype == np.int32


def test_events_without_a_column_are_refused(tmp_path):
    np.savez(tmp_path / "a.npz", t=np.zeros(1), x=np.zeros(1), y=np.zeros(1))
    with pytest.raises(FormatError, match="'p', the archive has"):
        load_events(tmp_path / "a.npz")
    np.save(tmp_path / "b.npy", np.zeros(3))
    with pytest.raises(FormatError, match="no column t, x, y, p"):
        load_events(tmp_path / "b.npy")


def test_no_events_are_events_too(tmp_path):
    save_events(tmp_path / "a.npy", Events.from_arrays([], [], [], []))
    assert {k: v.shape for k, v in load_events(tmp_path / "a.npy").items()} == dict.fromkeys(
        "txyp", (0,)
    )


def test_uncommon_arrays_are_read_too(tmp_path):
    fortran = np.asfortranarray(np.arange(6).reshape(2, 3))
    np.save(tmp_path / "a.npy", fortran)
    np.testing.assert_array_equal(load_array(tmp_path / "a.npy"), fortran)
    wide = np.zeros(2, [(f"a_rather_long_name_{i}", "f4") for i in range(20)])
    np.save(tmp_path / "b.npy", wide)  # a header of more than 128 bytes
    assert load_array(tmp_path / "b.npy").dtype == wide.dtype


def _spoilt(path, change):
    save_array(path, np.arange(100, dtype=np.uint16))
    content = bytearray(path.read_bytes())
    change(content)
    path.write_bytes(content)


@pytest.mark.parametrize(
    "change",
    [
        lambda b: b.__delitem__(slice(-1, None)),
        lambda b: b.__delitem__(slice(130, None)),
        lambda b: b.__delitem__(slice(50, None)),
        lambda b: b.__delitem__(slice(0, None)),
        lambda b: b.__setitem__(slice(0, 6), b"nonsen"),
        lambda b: b.__setitem__(slice(6, 8), b"\x09\x09"),
        lambda b: b.__setitem__(slice(20, 25), b"\xff\xff\xff\xff\xff"),
        lambda b: b.__setitem__(slice(0, None), b[:].replace(b"(100,)", b"(1e9,)")),
        lambda b: b.__setitem__(
            slice(0, None),
            b[:].replace(b"(100,), }" + b" " * 12, b"(999999999999999999,), }")[:328],
        ),
    ],
)
def test_damaged_files_are_told(tmp_path, change):
    path = tmp_path / "a.npy"
    _spoilt(path, change)
    with pytest.raises(FormatError) as caught:
        load_array(path)
    assert caught.value.path == str(path)


@given(st.data())
def test_a_damaged_file_never_crashes_the_reader(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("d") / "a.npy"
    save_array(path, np.arange(20, dtype=np.uint16))
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    with contextlib.suppress(FormatError):
        assert load_array(path).nbytes <= 1000


def test_arrays_of_objects_are_never_unpickled(tmp_path):
    np.save(tmp_path / "a.npy", np.array([{}], object), allow_pickle=True)
    with pytest.raises(FormatError):
        load_array(tmp_path / "a.npy")
    np.savez(tmp_path / "b.npz", frames=np.array([{}], object))
    with pytest.raises(FormatError):
        load_frames(tmp_path / "b.npz")


def test_archives_and_arrays_are_not_mixed_up(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.zeros(1))
    (tmp_path / "a.npz").rename(tmp_path / "a.npy")
    with pytest.raises(FormatError, match="npy"):
        load_array(tmp_path / "a.npy")
    np.save(tmp_path / "b.npy", np.zeros(1))
    (tmp_path / "b.npy").rename(tmp_path / "b.npz")
    with pytest.raises(FormatError, match="npz"):
        load_frames(tmp_path / "b.npz")
    (tmp_path / "c.npz").write_bytes(b"PK\x03\x04" + bytes(40))
    with pytest.raises(FormatError, match="npz"):
        load_events(tmp_path / "c.npz")


def test_a_missing_file_is_missing(tmp_path):
    for load in (load_array, load_frames, load_events):
        for name in ("a.npy", "a.npz"):
            if load is not load_array:
                with pytest.raises(FileNotFoundError):
                    load(tmp_path / name)


def test_a_full_disk_leaves_no_half_sample(tmp_path, monkeypatch):
    class Full:
        def __init__(self, path, mode):
            self.file = open(path, mode)  # noqa: SIM115

        def __enter__(self):
            return self

        def __exit__(self, *_):
            self.file.close()

        def write(self, data):
            self.file.write(bytes(data)[:100])
            raise OSError(errno.ENOSPC, "No space left on device")

    save_array(tmp_path / "a.npy", np.zeros(3))
    monkeypatch.setattr(cache, "open", lambda *args: Full(*args), raising=False)
    with pytest.raises(OSError, match=r"No space left.*a\.npy") as caught:
        save_array(tmp_path / "a.npy", np.ones(300))
    assert caught.value.errno == errno.ENOSPC
    monkeypatch.undo()
    assert os.listdir(tmp_path) == ["a.npy"]
    np.testing.assert_array_equal(load_array(tmp_path / "a.npy"), np.zeros(3))


def test_a_missing_folder_is_told(tmp_path):
    with pytest.raises(FileNotFoundError, match="create it first"):
        save_array(tmp_path / "no" / "a.npy", np.zeros(1))


def test_a_damaged_sample_of_a_dataset_says_what_to_do(tmp_path):
    (tmp_path / "a.npy").write_bytes(b"no array")
    with pytest.raises(FormatError) as caught:
        FrameLoader(np.dtype(np.float32))(tmp_path / "a.npy")
    assert caught.value.__notes__[0].startswith(f"delete {tmp_path}")
