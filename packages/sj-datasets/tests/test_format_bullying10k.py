from __future__ import annotations

import os
import pickle
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sj_datasets.errors import FormatError
from sj_datasets.events import Events
from sj_datasets.formats.bullying10k import read_bullying10k, write_bullying10k

FRAMES = [[(1_600_000_000_000_000, 345, 259, 1), (5, 6, 7, 0)], [], [(8, 9, 10, 1)]]
ROWS = [row for frame in FRAMES for row in frame]


def array_of(frames: list) -> np.ndarray:
    array = np.empty(len(frames), object)
    for i, frame in enumerate(frames):
        array[i] = frame
    return array


def save(path, frames: list, protocol: int = 4) -> None:
    """As np.save, with a pickle protocol of choice."""
    array = array_of(frames)
    with open(path, "wb") as file:
        np.lib.format.write_array_header_1_0(file, np.lib.format.header_data_from_array_1_0(array))
        pickle.dump(array, file, protocol=protocol)


def raw(path, pickled: bytes, shape: str = "(1,)") -> None:
    header = f"{{'descr': '|O', 'fortran_order': False, 'shape': {shape}, }}".encode()
    path.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + pickled)


@settings(max_examples=40)
@given(
    rows=st.lists(
        st.tuples(
            st.integers(-(2**63), 2**63 - 1),
            st.integers(0, 345),
            st.integers(0, 259),
            st.integers(0, 1),
        ),
        max_size=20,
    ),
    frames=st.integers(1, 5),
)
def test_what_is_written_is_read(rows, frames, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "round.npy"
    columns = np.array(rows, np.int64).reshape(-1, 4).T
    events = Events.from_arrays(*columns, sensor_size=(260, 346))
    write_bullying10k(path, events, frames=frames)
    assert read_bullying10k(path) == events


@pytest.mark.parametrize("protocol", [2, 3, 4])
@pytest.mark.parametrize(
    "value",
    [int, np.int64, np.uint64, np.float64, float],
    ids=lambda value: value.__name__,
)
def test_numbers_of_python_and_numpy_in_any_protocol(value, protocol, tmp_path):
    frames = [[tuple(map(value, row)) for row in frame] for frame in FRAMES]
    save(tmp_path / "a.npy", frames, protocol)
    assert read_bullying10k(tmp_path / "a.npy").array.tolist() == ROWS


@pytest.mark.parametrize("kind", ["<i8", ">i8", "<f8"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_frames_that_are_arrays(kind, order, tmp_path):
    frames = [np.array(frame, kind, order=order).reshape(-1, 4) for frame in FRAMES]
    save(tmp_path / "a.npy", frames)
    assert read_bullying10k(tmp_path / "a.npy").array.tolist() == ROWS


def test_pickles_with_text_for_bytes_as_python_2_wrote_them(tmp_path):
    kind = b"cnumpy\ndtype\nU\x02i2\x85R"
    numbers = b"U\x08\x01\x00\x02\x00\x03\x00\x01\x00"
    inner = b"cnumpy\nndarray\n)R(K\x01K\x01K\x04\x86" + kind + b"K\x00" + numbers + b"tb"
    outer = b"cnumpy\nndarray\n)R(K\x01K\x01\x85cnumpy\ndtype\nU\x01O\x85RK\x00]("
    raw(tmp_path / "a.npy", b"\x80\x02" + outer + inner + b"etb.")
    assert read_bullying10k(tmp_path / "a.npy").array.tolist() == [(1, 2, 3, 1)]


def test_further_values_of_an_event_are_left_out(tmp_path):
    save(tmp_path / "a.npy", [[[1, 2, 3, 1, 77, 88]]])
    assert read_bullying10k(tmp_path / "a.npy").array.tolist() == [(1, 2, 3, 1)]


def test_frames_of_equal_length_become_plain_or_nested_arrays(tmp_path):
    frames = [[(1, 2, 3, 1)], [(4, 5, 6, 0)]]
    for array in (np.array(frames), np.array(frames, object)):
        np.save(tmp_path / "a.npy", array)
        assert read_bullying10k(tmp_path / "a.npy")["t"].tolist() == [1, 4]


def test_no_frames_and_no_events(tmp_path):
    for frames in ([], [[], []]):
        save(tmp_path / "a.npy", frames)
        assert read_bullying10k(tmp_path / "a.npy") == Events.from_arrays(
            [], [], [], [], (260, 346)
        )


class Command:
    def __reduce__(self):
        return os.system, ("touch run",)


@pytest.mark.parametrize("frames", [[Command()], [[Command()]], [[(Command(), 0, 0, 0)]]])
def test_nothing_in_the_pickle_is_run(frames, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save(tmp_path / "a.npy", frames)
    with pytest.raises(FormatError, match="refused to load"):
        read_bullying10k(tmp_path / "a.npy")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        ([5], "frame 0 to be a list"),
        ([[], [5]], "frame 1 to be a list .* got int"),
        ([[(1, 2, 3)]], "events of 3 values"),
        ([[(1, 2, 3, 0), (1, 2, 3, 0, 0)]], "tuple of 2 lengths"),
        ([[(1, 2, 3, "0")]], "values of type int, str"),
        ([[(1, 2, 3, None)]], "NoneType"),
        ([[(1 << 70, 2, 3, 0)]], "beyond 64 bits"),
        ([[(0.5, 2, 3, 0)]], "whole numbers in 't'"),
        ([[(1, 346, 3, 0)]], "260 rows and 346 columns, got x = 346"),
        ([[(1, 2, -3, 0)]], "y must lie in"),
        ([[(1, 2, 3, 2)]], "p must lie in"),
        ([np.zeros((2, 3))], r"numbers of shape \[2, 3\]"),
        ([np.zeros(3)], r"numbers of shape \[3\]"),
        ([{"t": 1}], "got opcode"),
        ([[(1, 2, 3, 1j)]], "refused to load builtins.complex"),
        ([np.zeros(2, "c8")], "expected numbers, got type 'c8'"),
        ([np.array([{}], object)], "opcode"),
    ],
)
def test_what_is_no_list_of_frames_is_refused(frames, message, tmp_path):
    save(tmp_path / "a.npy", frames)
    with pytest.raises(FormatError, match=message):
        read_bullying10k(tmp_path / "a.npy")


def test_nested_arrays_of_the_wrong_width_are_refused(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((2, 3, 3), object))
    with pytest.raises(FormatError, match="events of 3 values"):
        read_bullying10k(tmp_path / "a.npy")
    np.save(tmp_path / "a.npy", np.zeros((2, 4), object))
    with pytest.raises(FormatError, match=r"an array of frames, got shape \[2, 4\]"):
        read_bullying10k(tmp_path / "a.npy")
    np.save(tmp_path / "a.npy", np.zeros(4))
    with pytest.raises(FormatError, match=r"numbers of shape \[frames, events, 4\], got \[4\]"):
        read_bullying10k(tmp_path / "a.npy")


@pytest.mark.parametrize(
    ("pickled", "message"),
    [
        (pickle.dumps([1]), "a pickled array, got list"),
        (pickle.dumps(array_of([[]]))[:-1], "to its end"),
        (pickle.dumps(array_of([[]])) + b"x", "1 bytes after it|opcode b'\\.'"),
        (b"\x80\x04]r\xff\xff\xff\x7f.", "opcode b'r'"),
        (b"\x80\x04X\xff\xff\xff\x7fab.", "opcode b'X'"),
        (b"\x80\x04\x95\xff\0\0\0\0\0\0\0].", "x95"),
        (b"\x80\x04cos\nsystem\n.", "refused to load os.system"),
        (b"\x80\x04cos\nsystem", "opcode b'c'"),
        (b"\x80\x04P1\n.", "opcode b'P'"),
        (b"\x80\x04h\x05.", "a pickle of number lists"),
        (pickle.dumps(array_of([[], []])), r"shape \[1\], got \[2\]"),
        (b"\x80\x04cnumpy\nndarray\n)R.", "a pickled array"),
        (b"\x80\x04cnumpy\nndarray\n)R(K\x01(K\xfftcnumpy\ndtype\nU\x01O\x85RN]tb.", "255 objects"),
        (b"\x80\x04cnumpy\nndarray\n)R(K\x01(NtK\x01N]tb.", "expected a shape"),
        (b"\x80\x04c_codecs\nencode\nU\x01aU\x03rot\x86R.", "pickle of number lists"),
        (
            b"\x80\x04cnumpy._core.multiarray\nscalar\ncnumpy\ndtype\nU\x01O\x85RC\x01a\x86R.",
            "expected a number",
        ),
        (
            b"\x80\x04cnumpy._core.multiarray\nscalar\ncnumpy\ndtype\nU\x02i8\x85RK\x01\x86R.",
            "expected bytes, got int",
        ),
    ],
)
def test_broken_and_hostile_pickles_are_refused(pickled, message, tmp_path):
    raw(tmp_path / "a.npy", pickled)
    with pytest.raises(FormatError, match=message) as error:
        read_bullying10k(tmp_path / "a.npy")
    assert error.value.offset is not None


def test_lists_repeated_by_reference_cannot_grow_without_bound(tmp_path):
    frame = [(1, 2, 3, 1)] * 1000
    save(tmp_path / "a.npy", [frame] * 1000)
    with pytest.raises(FormatError, match="repeats its lists"):
        read_bullying10k(tmp_path / "a.npy")


def test_events_that_the_format_cannot_hold_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"Bullying10K holds x in 0\.\.345"):
        write_bullying10k(tmp_path / "a.npy", Events.from_arrays([0], [346], [0], [0]))
    with pytest.raises(ValueError, match="frames must be at least 1"):
        write_bullying10k(tmp_path / "a.npy", Events.from_arrays([0], [0], [0], [0]), frames=0)
    assert list(tmp_path.iterdir()) == []
