from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sj_datasets.errors import FormatError
from sj_datasets.events import Events
from sj_datasets.formats.navgesture import read_navgesture, write_navgesture


def word(t: int, x: int, y: int, p: int) -> bytes:
    return (t | x << 32 | y << 41 | p << 49).to_bytes(8, "little")


ROWS = st.lists(
    st.tuples(
        st.integers(0, 2**32 - 1), st.integers(0, 303), st.integers(0, 239), st.integers(0, 1)
    ),
    max_size=20,
)


@settings(max_examples=40)
@given(rows=ROWS, upright=st.booleans())
def test_what_is_written_is_read_when_nothing_is_changed(rows, upright, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "round.dat"
    columns = np.array(rows, np.int64).reshape(-1, 4).T
    events = Events.from_arrays(*columns, sensor_size=(240, 304))
    write_navgesture(path, events, upright=upright)
    read = read_navgesture(path, upright=upright, from_zero=False, drop_backward=False)
    assert read == events


@given(rows=ROWS)
def test_events_earlier_than_one_before_them_are_dropped(rows, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "back.dat"
    path.write_bytes(b"".join(word(*row) for row in rows))
    kept, latest = [], -1
    for t, x, y, p in rows:
        if t >= latest:
            latest = t
            kept.append((t - rows[0][0], x, 239 - y, p))
    assert read_navgesture(path).array.tolist() == kept


def test_type_and_size_follow_a_header_only(tmp_path):
    path = tmp_path / "a.dat"
    content = word(37, 1, 239, 1) + word(40, 2, 0, 0)
    for start in (b"", b"% Version 1\n\x00\x08", b"% a\n% b\n\x0c\x08"):
        path.write_bytes(start + content)
        assert read_navgesture(path).array.tolist() == [(0, 1, 0, 1), (3, 2, 239, 0)]


@pytest.mark.parametrize(
    ("content", "offset", "message"),
    [
        (word(0, 0, 0, 0) + word(0, 304, 0, 0), 8, "240 rows and 304 columns, got x = 304"),
        (word(0, 0, 240, 0), 0, "got x = 0, y = 240"),
        (word(0, 0, 0, 0) + b"\0" * 7, 8, "truncated"),
        (b"% Version 1\n\x01\x08", 12, "type 1"),
        (b"% Version 1", 0, "readable text"),
    ],
)
def test_broken_files_are_refused_where_they_break(content, offset, message, tmp_path):
    path = tmp_path / "a.dat"
    path.write_bytes(content)
    with pytest.raises(FormatError, match=message) as error:
        read_navgesture(path)
    assert error.value.offset == offset


def test_an_empty_recording_has_no_events(tmp_path):
    (tmp_path / "a.dat").write_bytes(b"% Version 1\n\x00\x08")
    assert read_navgesture(tmp_path / "a.dat").count == 0


@pytest.mark.parametrize(("column", "value"), [("t", 1 << 32), ("x", 304), ("y", 240)])
def test_values_outside_the_sensor_are_not_written(column, value, tmp_path):
    columns = {"t": [0], "x": [0], "y": [0], "p": [0]} | {column: [value]}
    with pytest.raises(ValueError, match=rf"NavGesture recording holds {column} in"):
        write_navgesture(tmp_path / "a.dat", Events.from_arrays(**columns))
    assert list(tmp_path.iterdir()) == []
