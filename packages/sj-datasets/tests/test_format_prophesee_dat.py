from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sj_datasets.errors import FormatError
from sj_datasets.events import Events
from sj_datasets.formats import prophesee_dat
from sj_datasets.formats.prophesee_dat import read_prophesee_dat, write_prophesee_dat

HEADER = b"% Data file containing CD events.\n% Version 2\n"


def record(t: int, x: int, y: int, p: int) -> bytes:
    return np.array([t, p << 28 | y << 14 | x], "<u4").tobytes()


@settings(max_examples=40)
@given(
    rows=st.lists(
        st.tuples(
            st.integers(0, 2**32 - 1),
            st.integers(0, 2**14 - 1),
            st.integers(0, 2**14 - 1),
            st.integers(0, 1),
        ),
        max_size=20,
    ),
    size=st.sampled_from([None, (2**14, 2**14)]),
)
def test_what_is_written_is_read(rows, size, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "round.dat"
    columns = np.array(rows, np.int64).reshape(-1, 4).T
    events = Events.from_arrays(*columns, sensor_size=size)
    write_prophesee_dat(path, events)
    assert read_prophesee_dat(path) == events


@pytest.mark.parametrize("kind", [0, 12])
def test_old_and_new_event_types_have_the_same_records(kind, tmp_path):
    path = tmp_path / "a.dat"
    path.write_bytes(HEADER + bytes((kind, 8)) + record(5, 6, 7, 1))
    assert read_prophesee_dat(path).array.tolist() == [(5, 6, 7, 1)]


@pytest.mark.parametrize("t", [5, 37, 37 | ord("\n") << 8])
def test_a_file_without_header_begins_with_a_record(t, tmp_path):
    path = tmp_path / "a.dat"
    path.write_bytes(record(t, 6, 7, 1))
    assert read_prophesee_dat(path).array.tolist() == [(t, 6, 7, 1)]


def test_an_empty_recording_has_no_events(tmp_path):
    path = tmp_path / "a.dat"
    path.write_bytes(b"")
    assert read_prophesee_dat(path).count == 0
    path.write_bytes(b"% Height 4\n% Width 5\n\x0c\x08")
    assert read_prophesee_dat(path) == Events.from_arrays([], [], [], [], (4, 5))


@pytest.mark.parametrize(
    ("content", "offset", "message"),
    [
        (HEADER, len(HEADER), "event type and event size"),
        (HEADER + b"\x0e\x08", len(HEADER), r"type 14 \(external triggers\)"),
        (HEADER + b"\x63\x08", len(HEADER), r"type 99 \(unknown\)"),
        (HEADER + b"\x0c\x10", len(HEADER) + 1, "events of 8 bytes, got 16"),
        (HEADER + b"\x0c\x08" + b"\0" * 11, len(HEADER) + 10, "truncated"),
        (HEADER + b"\x0c\x08" + record(0, 0, 0, 1) + record(0, 0, 0, 2), len(HEADER) + 10, "got 2"),
        (b"% Height 4\n% Width 5\n\x0c\x08" + record(0, 4, 4, 0), 23, "got x = 4, y = 4"),
        (b"% Height 4\n% Width five\n\x0c\x08", 0, "a width of 1..65536 in the header, got 'five'"),
        (b"%\x01" + HEADER, 0, "readable text"),
    ],
)
@pytest.mark.parametrize("chunk", [1, 100])
def test_broken_files_are_refused_where_they_break(
    content, offset, message, chunk, tmp_path, monkeypatch
):
    monkeypatch.setattr(prophesee_dat, "_CHUNK", chunk)
    path = tmp_path / "a.dat"
    path.write_bytes(content)
    with pytest.raises(FormatError, match=message) as error:
        read_prophesee_dat(path)
    assert error.value.offset == offset


@pytest.mark.parametrize(("column", "value"), [("t", -1), ("t", 1 << 32), ("x", 1 << 14)])
def test_values_that_records_cannot_hold_are_refused(column, value, tmp_path):
    columns = {"t": [0], "x": [0], "y": [0], "p": [0]} | {column: [value]}
    with pytest.raises(ValueError, match=rf"a DAT file holds {column} in"):
        write_prophesee_dat(tmp_path / "a.dat", Events.from_arrays(**columns))
    assert list(tmp_path.iterdir()) == []


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.dat"):
        read_prophesee_dat(tmp_path / "none.dat")
