from __future__ import annotations

import sys

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sj_datasets.errors import FormatError
from sj_datasets.events import Events
from sj_datasets.formats.asl_dvs import read_asl_dvs, write_asl_dvs

scipy_io = pytest.importorskip("scipy.io", reason="extra 'mat'")

COLUMNS = {"ts": [7, 9], "x": [0, 239], "y": [179, 1], "pol": [1, 0]}
TURNED = [(7, 239, 0, 1), (9, 0, 178, 0)]


def save(path, **changes) -> None:
    columns = COLUMNS | changes
    content = {k: np.reshape(v, (-1, 1)) for k, v in columns.items() if v is not None}
    scipy_io.savemat(path, content)


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


@pytest.mark.parametrize("kind", [np.int32, np.float64, np.uint16])
@pytest.mark.parametrize("compressed", [False, True])
def test_the_picture_is_turned_by_half_a_turn(kind, compressed, tmp_path):
    path = tmp_path / "a.mat"
    content = {k: np.array(v, kind).reshape(-1, 1) for k, v in COLUMNS.items()}
    scipy_io.savemat(path, content, do_compression=compressed)
    assert read_asl_dvs(path).array.tolist() == TURNED
    assert read_asl_dvs(path, upright=False)["x"].tolist() == [0, 239]


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
        ({"ts": np.array(["a", "b"])}, "numbers in 'ts'"),
        ({"ts": np.array([2**63, 0], np.uint64)}, "'ts' below 2"),
    ],
)
def test_variables_that_are_no_events_are_refused(changes, message, tmp_path):
    save(tmp_path / "a.mat", **changes)
    with pytest.raises(FormatError, match=message):
        read_asl_dvs(tmp_path / "a.mat")


def test_a_table_is_no_column(tmp_path):
    scipy_io.savemat(tmp_path / "a.mat", {k: np.zeros((2, 2)) for k in COLUMNS})
    with pytest.raises(FormatError, match=r"'ts' of shape \[n, 1\], got \[2, 2\]"):
        read_asl_dvs(tmp_path / "a.mat")


def test_broken_files_are_refused(tmp_path):
    path = tmp_path / "a.mat"
    save(path)
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    with pytest.raises(FormatError, match="ends within the file") as error:
        read_asl_dvs(path)
    assert error.value.offset > 128
    broken = bytearray(whole)
    broken[144] = 0xEE
    path.write_bytes(bytes(broken))
    with pytest.raises(FormatError, match="a whole MATLAB 5 file"):
        read_asl_dvs(path)
    path.write_bytes(b"text")
    with pytest.raises(FormatError, match="byte 0: expected the header of a MATLAB"):
        read_asl_dvs(path)
    path.write_bytes(b"\x89HDF\r\n\x1a\n and no more")
    with pytest.raises(FormatError, match=r"a whole MATLAB 7\.3 file"):
        read_asl_dvs(path)
    with pytest.raises(FileNotFoundError):
        read_asl_dvs(tmp_path / "none.mat")


def test_events_outside_the_sensor_are_not_written(tmp_path):
    with pytest.raises(ValueError, match=r"an ASL-DVS file holds y in 0\.\.179"):
        write_asl_dvs(tmp_path / "a.mat", Events.from_arrays([0], [0], [180], [0]))
    assert list(tmp_path.iterdir()) == []


def test_without_scipy_the_error_names_the_extra(tmp_path, monkeypatch):
    save(tmp_path / "a.mat")
    monkeypatch.setitem(sys.modules, "scipy.io", None)
    with pytest.raises(ImportError, match=r"sj-datasets\[mat\]"):
        read_asl_dvs(tmp_path / "a.mat")
    with pytest.raises(ImportError, match=r"sj-datasets\[mat\]"):
        write_asl_dvs(tmp_path / "a.mat", Events.from_arrays([], [], [], []))
