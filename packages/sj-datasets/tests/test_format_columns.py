from __future__ import annotations

import io
import struct
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sj_datasets.errors import FormatError
from sj_datasets.events import EVENT_DTYPE, Events
from sj_datasets.formats.columns import read_columns, write_columns

ROWS = [(-5, 3, 4, 1), (7, 65535, 0, 0)]


def events() -> Events:
    return Events(np.array(ROWS, EVENT_DTYPE))


def npy(header: str, body: bytes = b"", version: bytes = b"\x01\x00") -> bytes:
    length = struct.pack("<H" if version[0] == 1 else "<I", len(header))
    return b"\x93NUMPY" + version + length + header.encode() + body


@settings(max_examples=40)
@given(
    rows=st.lists(
        st.tuples(
            st.integers(-(2**63), 2**63 - 1),
            st.integers(0, 65535),
            st.integers(0, 65535),
            st.integers(0, 1),
        ),
        max_size=10,
    ),
    kind=st.sampled_from([(".npz", False), (".npz", True), (".npy", False)]),
)
def test_what_is_written_is_read(rows, kind, tmp_path_factory):
    path = (tmp_path_factory.getbasetemp() / "round").with_suffix(kind[0])
    written = Events(np.array(rows, EVENT_DTYPE))
    write_columns(path, written, compressed=kind[1])
    assert read_columns(path) == written


def test_numpy_reads_what_is_written(tmp_path):
    write_columns(tmp_path / "a.npz", events())
    with np.load(tmp_path / "a.npz") as arrays:
        assert list(arrays) == ["t", "x", "y", "p"]
    write_columns(tmp_path / "a.npy", events())
    assert np.load(tmp_path / "a.npy").tolist() == ROWS


@pytest.mark.parametrize("kind", ["<i2", ">i4", "u8", "<f4", "f8", "i1"])
def test_fields_in_any_order_and_type_are_read_by_name(kind, tmp_path):
    array = np.zeros(2, [("p", "?"), ("y", kind), ("note", "S3"), ("x", "<u2"), ("t", kind)])
    array["t"], array["p"] = [3, 9], [True, False]
    np.save(tmp_path / "a.npy", array)
    assert read_columns(tmp_path / "a.npy").array.tolist() == [(3, 0, 0, 1), (9, 0, 0, 0)]


def test_headers_of_python_2_and_of_later_versions_are_read(tmp_path):
    body = np.array(ROWS, EVENT_DTYPE).tobytes()
    fields = "[('t', '<i8'), ('x', '<u2'), ('y', '<u2'), ('p', '|u1')]"
    for shape, version in (("(2L,)", b"\x01\0"), ("(2,)", b"\x02\0"), ("(2,)", b"\x03\0")):
        header = f"{{'descr': {fields}, 'fortran_order': False, 'shape': {shape}, }}"
        (tmp_path / "a.npy").write_bytes(npy(header, body, version))
        assert read_columns(tmp_path / "a.npy") == events()


def test_polarities_of_minus_one_and_one(tmp_path):
    zero = np.zeros(2, int)
    np.savez(tmp_path / "a.npz", t=zero, x=zero, y=zero, p=[-1, 1])
    assert read_columns(tmp_path / "a.npz")["p"].tolist() == [0, 1]
    np.savez(
        tmp_path / "a.npz", t=np.zeros(3, int), x=np.zeros(3, int), y=np.zeros(3, int), p=[-1, 0, 1]
    )
    with pytest.raises(FormatError, match=r"p must lie in 0\.\.1"):
        read_columns(tmp_path / "a.npz")


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("t", [0.5], "whole numbers in 't', got 0.5"),
        ("t", [np.inf], "whole numbers in 't', got inf"),
        ("t", [np.nan], "whole numbers in 't', got nan"),
        ("t", [2**63], "t must lie in"),
        ("x", [-1], "x must lie in"),
        ("y", [1 << 16], "y must lie in"),
        ("p", [2], "p must lie in"),
        ("x", [1, 2], "equal length"),
        ("x", [[1]], "one-dimensional"),
        ("t", ["now"], "plain numbers"),
        ("t", np.array([None]), "Python objects"),
    ],
)
def test_columns_that_are_no_events_are_refused(column, value, message, tmp_path):
    columns = {"t": [0], "x": [0], "y": [0], "p": [0]} | {column: value}
    np.savez(tmp_path / "a.npz", **columns)
    with pytest.raises(FormatError, match=message):
        read_columns(tmp_path / "a.npz")


def test_events_outside_the_sensor_are_refused(tmp_path):
    write_columns(tmp_path / "a.npy", Events.from_arrays([0], [3], [4], [1]))
    assert read_columns(tmp_path / "a.npy", sensor_size=(5, 4)).sensor_size == (5, 4)
    with pytest.raises(FormatError, match="4 rows and 4 columns, got x = 3, y = 4"):
        read_columns(tmp_path / "a.npy", sensor_size=(4, 4))


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("{'descr': '<i8', 'fortran_order': False, 'shape': (10,)}", "80 bytes.*got 0"),
        (f"{{'descr': '<i8', 'fortran_order': False, 'shape': ({10**15},)}}", "bytes for shape"),
        ("{'descr': '|O', 'fortran_order': False, 'shape': (1,)}", "Python objects"),
        ("{'descr': '|V0', 'fortran_order': False, 'shape': (9,)}", "type '|V0'"),
        ("{'descr': [('t', 'O')], 'fortran_order': False, 'shape': (9,)}", "field"),
        ("{'descr': [('t', '<i8', 2)], 'fortran_order': False, 'shape': (9,)}", "header"),
        ("{'descr': [(('a', 'b'), 'i8')], 'fortran_order': False, 'shape': ()}", "field"),
        ("{'descr': [('t', 'i8'), ('t', 'i8')], 'fortran_order': False, 'shape': ()}", "header"),
        ("{'descr': 3, 'fortran_order': False, 'shape': ()}", "type 3"),
        ("{'descr': '<i8', 'fortran_order': 0, 'shape': (0,)}", "fortran_order"),
        ("{'descr': '<i8', 'fortran_order': False, 'shape': [0]}", "shape"),
        ("{'descr': '<i8', 'fortran_order': False, 'shape': (-1,)}", "shape"),
        (f"{{'descr': '<i8', 'fortran_order': False, 'shape': (0, {10**30})}}", "a.npy"),
        ("{'descr': '<i8', 'fortran_order': False, 'shape': (0,)}", "fields t, x, y, p"),
        ("{'descr': '<i8'}", "header"),
        ("print(1)", "header"),
        ("(" * 5000, "header"),
        ("-" * 9000 + "1", "header"),
    ],
)
def test_bad_headers_are_refused_before_memory_is_taken(header, message, tmp_path):
    (tmp_path / "a.npy").write_bytes(npy(header))
    with pytest.raises(FormatError, match=message):
        read_columns(tmp_path / "a.npy")


@pytest.mark.parametrize(
    "content",
    [b"", b"text", b"\x93NUMPY", b"\x93NUMPY\x04\0\0\0\0\0", npy("{}")[:-1], npy(" " * 10001)],
)
def test_what_is_no_column_file_is_refused(content, tmp_path):
    (tmp_path / "a.npy").write_bytes(content)
    with pytest.raises(FormatError):
        read_columns(tmp_path / "a.npy")


def archive(**members: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in members.items():
            packed.writestr(f"{name}.npy", content)
    return file.getvalue()


def test_archives_without_a_column_or_with_a_bad_one_are_refused(tmp_path):
    path = tmp_path / "a.npz"
    path.write_bytes(archive(t=npy("{}")))
    with pytest.raises(FormatError, match=r"array 't': expected a \.npy header"):
        read_columns(path)
    path.write_bytes(archive(x=b""))
    with pytest.raises(FormatError, match=r"expected an array 't', the archive has x\.npy"):
        read_columns(path)
    path.write_bytes(archive())
    with pytest.raises(FormatError, match="the archive has nothing"):
        read_columns(path)
    huge = f"{{'descr': '<i8', 'fortran_order': False, 'shape': ({10**15},)}}"
    path.write_bytes(archive(t=npy(huge)))
    with pytest.raises(FormatError, match=r"array 't': .*the archive has"):
        read_columns(path)


def test_members_that_claim_more_than_their_bytes_can_hold_are_refused(tmp_path):
    path = tmp_path / "a.npz"
    content = bytearray(archive(t=b"\x93NUMPY" + b"\0" * 100))
    claimed = struct.pack("<I", 0x7FFFFFFF)
    directory = content.index(b"PK\x01\x02")
    content[directory + 24 : directory + 28] = claimed
    path.write_bytes(bytes(content))
    with pytest.raises(FormatError, match="bytes cannot hold 2147483647"):
        read_columns(path)


@pytest.mark.parametrize(
    ("position", "value", "message"),
    [(10, b"\x0c\x00", "stored or deflated"), (8, b"\x01\x00", "password")],
)
def test_other_compressions_and_passwords_are_refused(position, value, message, tmp_path):
    content = bytearray(archive(t=npy("{}")))
    directory = content.index(b"PK\x01\x02")
    content[directory + position : directory + position + 2] = value
    (tmp_path / "a.npz").write_bytes(bytes(content))
    with pytest.raises(FormatError, match=message):
        read_columns(tmp_path / "a.npz")


def test_the_suffix_chooses_what_is_written(tmp_path):
    with pytest.raises(ValueError, match=r"\.npz, or uncompressed to \.npy; got .*a\.txt"):
        write_columns(tmp_path / "a.txt", events())
    with pytest.raises(ValueError, match="uncompressed"):
        write_columns(tmp_path / "a.npy", events(), compressed=True)
    assert list(tmp_path.iterdir()) == []


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.npz"):
        read_columns(tmp_path / "none.npz")
