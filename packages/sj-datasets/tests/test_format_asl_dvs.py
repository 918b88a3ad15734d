from __future__ import annotations

import struct
import zlib

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sj_datasets.errors import FormatError
from sj_datasets.events import Events
from sj_datasets.formats.asl_dvs import read_asl_dvs, write_asl_dvs

COLUMNS = {"ts": [7, 9], "x": [0, 239], "y": [179, 1], "pol": [1, 0]}
TURNED = [(7, 239, 0, 1), (9, 0, 178, 0)]


def element(kind: int, content: bytes) -> bytes:
    return struct.pack("<II", kind, len(content)) + content + b"\0" * (-len(content) % 8)


def short(kind: int, content: bytes) -> bytes:
    return struct.pack("<HH", kind, len(content)) + content.ljust(4, b"\0")


def variable(name: str, array: np.ndarray, class_: int = 6, flags: int = 0) -> bytes:
    """As MATLAB stores it: double by class, in a type that is small enough by content."""
    kind = {"i1": 1, "u1": 2, "i2": 3, "u2": 4, "i4": 5, "u4": 6, "f8": 9, "i8": 12, "u8": 13}
    content = element(6, struct.pack("<II", class_ | flags << 8, 0))
    content += element(5, np.array(array.shape, "<i4").tobytes())
    content += short(1, name.encode())
    values = array.tobytes(order="F")
    content += (short if len(values) <= 4 else element)(kind[array.dtype.str[1:]], values)
    return element(14, content)


HEADER = b"MATLAB 5.0 MAT-file".ljust(124) + b"\x00\x01IM"


def matlab(**changes) -> bytes:
    columns = {k: v for k, v in (COLUMNS | changes).items() if v is not None}
    return HEADER + b"".join(
        variable(k, np.reshape(v, (-1, 1)).astype(np.asarray(v).dtype.newbyteorder("<")))
        for k, v in columns.items()
    )


@settings(max_examples=40)
@given(
    rows=st.lists(
        st.tuples(
            st.integers(-(2**63), 2**63 - 1),
            st.integers(0, 239),
            st.integers(0, 179),
            st.integers(0, 1),
        ),
        max_size=10,
    ),
    upright=st.booleans(),
)
def test_what_is_written_is_read(rows, upright, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "round.mat"
    columns = np.array(rows, np.int64).reshape(-1, 4).T
    events = Events.from_arrays(*columns, sensor_size=(180, 240))
    write_asl_dvs(path, events, upright=upright)
    assert read_asl_dvs(path, upright=upright) == events


@pytest.mark.parametrize("kind", [np.int32, np.float64, np.uint16, np.int64])
@pytest.mark.parametrize("compressed", [False, True])
def test_the_picture_is_turned_by_half_a_turn(kind, compressed, tmp_path):
    path = tmp_path / "a.mat"
    content = matlab(**{k: np.array(v, kind) for k, v in COLUMNS.items()})
    if compressed:
        packed = zlib.compress(variable("note", np.zeros((2, 2))))
        content += struct.pack("<II", 15, len(packed)) + packed
    path.write_bytes(content)
    assert read_asl_dvs(path).array.tolist() == TURNED
    assert read_asl_dvs(path, upright=False)["x"].tolist() == [0, 239]


def test_compressed_big_endian_and_foreign_variables(tmp_path):
    path = tmp_path / "a.mat"
    content = HEADER
    for name, column in COLUMNS.items():
        packed = zlib.compress(variable(name, np.array(column, "<i2").reshape(-1, 1)))
        content += struct.pack("<II", 15, len(packed)) + packed
    text = element(
        14, element(6, struct.pack("<II", 4, 0)) + element(5, b"\0" * 8) + short(1, b"s")
    )
    path.write_bytes(content + text)
    assert read_asl_dvs(path).array.tolist() == TURNED
    big = b"".ljust(124) + b"\x01\x00MI"
    for name, column in COLUMNS.items():
        inner = struct.pack(">IIIIIIii", 6, 8, 6, 0, 5, 8, 2, 1)
        inner += struct.pack(">HH", len(name), 1) + name.encode().ljust(4, b"\0")
        inner += struct.pack(">HHhh", 4, 3, *column)
        big += struct.pack(">II", 14, len(inner)) + inner
    path.write_bytes(big)
    assert read_asl_dvs(path).array.tolist() == TURNED


def test_scipy_agrees(tmp_path):
    scipy_io = pytest.importorskip("scipy.io", reason="only compared with")
    path = tmp_path / "a.mat"
    for compressed in (False, True):
        content = {k: np.reshape(v, (-1, 1)) for k, v in COLUMNS.items()}
        scipy_io.savemat(path, content, do_compression=compressed)
        assert read_asl_dvs(path).array.tolist() == TURNED
    write_asl_dvs(path, read_asl_dvs(path))
    read = scipy_io.loadmat(path)
    assert {k: read[k].ravel().tolist() for k in COLUMNS} == COLUMNS
    assert read["ts"].shape == (2, 1)


def test_version_7_3_files_are_read_through_hdf5(tmp_path):
    path = tmp_path / "a.mat"
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, column in COLUMNS.items():
            file[name] = np.array(column, np.float64).reshape(1, -1)
    with open(path, "r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM")
    assert read_asl_dvs(path).array.tolist() == TURNED


def test_hdf5_data_sets_that_claim_more_than_the_file_holds_are_not_read(tmp_path):
    path = tmp_path / "a.mat"
    with h5py.File(path, "w") as file:
        file.create_dataset("ts", (10**12,), chunks=(10**6,), dtype="u1")
    with pytest.raises(FormatError, match="variable 'ts'"):
        read_asl_dvs(path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ts": None}, "a variable 'ts' of numbers"),
        ({"x": [0.5, 1]}, "whole numbers in 'x', got 0.5"),
        ({"x": [0, 240]}, "180 rows and 240 columns, got x = 240"),
        ({"y": [-1, 0]}, "y = -1"),
        ({"pol": [0, 3]}, "p must lie in"),
        ({"x": [0]}, "equal length"),
        ({"ts": np.array([2**63, 0], np.uint64)}, "'ts' below 2"),
    ],
)
def test_variables_that_are_no_events_are_refused(changes, message, tmp_path):
    (tmp_path / "a.mat").write_bytes(matlab(**changes))
    with pytest.raises(FormatError, match=message):
        read_asl_dvs(tmp_path / "a.mat")


def test_a_table_is_no_column(tmp_path):
    table = b"".join(variable(k, np.zeros((2, 2))) for k in COLUMNS)
    (tmp_path / "a.mat").write_bytes(HEADER + table)
    with pytest.raises(FormatError, match=r"'ts' of shape \[n, 1\], got \[2, 2\]"):
        read_asl_dvs(tmp_path / "a.mat")


FLAGS = element(6, struct.pack("<II", 6, 0))
SIZE = element(5, struct.pack("<ii", 2, 1))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"text", "expected the header of a MATLAB"),
        (matlab()[:-1], "leave the file"),
        (matlab() + b"12", "2 bytes are no element"),
        (HEADER + struct.pack("<HHI", 14, 5, 0), "a short element of 5 bytes"),
        (HEADER + struct.pack("<II", 15, 4) + b"1234", "incorrect header"),
        (HEADER + struct.pack("<II", 15, 5) + zlib.compress(b"12345678")[:5], "end too early"),
        (HEADER + element(14, FLAGS + SIZE), "without flags, dimensions and name"),
        (HEADER + element(14, FLAGS + element(5, b"") + short(1, b"ts")), "dimensions of 'ts'"),
        (HEADER + element(14, FLAGS + SIZE + short(1, b"ts")), "without numbers"),
        (HEADER + element(14, FLAGS + SIZE + short(1, b"ts") + short(16, b"a")), "without numbers"),
        (HEADER + element(14, FLAGS + SIZE + short(1, b"ts") + short(2, b"a")), "with 1 numbers"),
        (HEADER + variable("ts", np.zeros((2, 1)), flags=8), "a variable 'ts' of numbers"),
        (HEADER + variable("ts", np.zeros((2, 1)), class_=4), "a variable 'ts' of numbers"),
        (b"\x89HDF\r\n\x1a\n and no more", r"a whole MATLAB 7\.3 file"),
    ],
)
def test_broken_files_are_refused(content, message, tmp_path):
    (tmp_path / "a.mat").write_bytes(content)
    with pytest.raises(FormatError, match=message):
        read_asl_dvs(tmp_path / "a.mat")


def test_the_broken_variable_is_named_by_its_byte(tmp_path):
    content = matlab()
    (tmp_path / "a.mat").write_bytes(content[:-1])
    with pytest.raises(FormatError) as error:
        read_asl_dvs(tmp_path / "a.mat")
    assert 128 < error.value.offset < len(content)
    with pytest.raises(FileNotFoundError):
        read_asl_dvs(tmp_path / "none.mat")


def test_events_outside_the_sensor_are_not_written(tmp_path):
    with pytest.raises(ValueError, match=r"an ASL-DVS file holds y in 0\.\.179"):
        write_asl_dvs(tmp_path / "a.mat", Events.from_arrays([0], [0], [180], [0]))
    assert list(tmp_path.iterdir()) == []
