"""40-bit events of N-MNIST and N-Caltech101."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sj_datasets.errors import FormatError
from sj_datasets.events import Events
from sj_datasets.formats.atis import load_ATIS_bin, read_atis, write_atis

STEP = 1 << 13


def record(x: int, y: int, p: int, t: int) -> bytes:
    return bytes([x, y, p << 7 | t >> 16, t >> 8 & 255, t & 255])


def columns(events: Events) -> list[list[int]]:
    return [events[field].tolist() for field in "txyp"]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "sample.bin"


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("atis") / "sample.bin"


def test_the_bits_of_a_record(path: Path) -> None:
    path.write_bytes(record(1, 2, 1, 0x7FFFFF) + record(255, 239, 0, 0x010203))
    assert columns(read_atis(path)) == [[0x7FFFFF, 0x010203], [1, 255], [2, 239], [1, 0]]


def test_overflow_records_are_dropped_and_add_2_13_us_each(path: Path) -> None:
    marker = record(0, 240, 0, 9)
    path.write_bytes(marker + record(1, 1, 1, 5) + 2 * marker + record(2, 2, 0, 6) + marker)
    assert columns(read_atis(path))[0] == [5 + STEP, 6 + 3 * STEP]
    assert load_ATIS_bin(path)["t"].tolist() == [5 + STEP, 6 + 3 * STEP]
    ignored = read_atis(path, overflow=False)
    assert ignored.count == 6
    assert ignored["t"].max() == 9


def test_an_empty_file_has_no_events(path: Path) -> None:
    path.write_bytes(b"")
    assert read_atis(path).count == 0
    write_atis(path, read_atis(path))
    assert path.read_bytes() == b""


def test_a_truncated_file_is_refused_where_its_last_record_starts(path: Path) -> None:
    path.write_bytes(record(1, 1, 1, 5) + b"\1\2\3")
    with pytest.raises(FormatError, match=r"byte 5: .*5 bytes.*after 3") as raised:
        read_atis(path)
    assert raised.value.offset == 5
    assert read_atis(path, strict=False).count == 1


def test_a_missing_file_and_a_folder_are_told_apart(path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"sample\.bin"):
        read_atis(path)
    with pytest.raises(IsADirectoryError, match="folder"):
        read_atis(path.parent)


def test_long_recordings_are_written_with_overflow_records(path: Path) -> None:
    t = [0, (1 << 23) - 1, 1 << 23, (1 << 23) + 3 * STEP, 1 << 24]
    events = Events.from_arrays(t=t, x=range(5), y=range(5), p=[0, 1, 0, 1, 0])
    write_atis(path, events)
    assert read_atis(path) == events
    assert path.stat().st_size == 5 * (5 + 1 + 3 + (1 << 10) - 3)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("x", 256, r"holds x in 0\.\.255, got 256\.\.256"),
        ("y", 256, r"holds y in 0\.\.255"),
        ("y", 240, "keeps y = 240"),
        ("t", -1, r"holds t in 0\.\.8589934591"),
        ("t", 1 << 33, r"holds t in 0\.\.8589934591"),
    ],
)
def test_what_the_format_cannot_hold_is_refused(
    path: Path, field: str, value: int, message: str
) -> None:
    event = {"t": [0], "x": [0], "y": [0], "p": [0]} | {field: [value]}
    with pytest.raises(ValueError, match=message):
        write_atis(path, {key: np.array(value) for key, value in event.items()})
    assert not path.exists()


def test_an_event_before_an_overflow_that_has_been_written_is_refused(path: Path) -> None:
    events = Events.from_arrays(t=[1 << 24, 5], x=[0, 0], y=[0, 0], p=[0, 0])
    with pytest.raises(ValueError, match=r"event 1 at 5 us.*sort"):
        write_atis(path, events)


@given(
    st.lists(
        st.tuples(
            st.integers(0, 1 << 25),
            st.integers(0, 255),
            st.integers(0, 255).filter(lambda y: y != 240),
            st.integers(0, 1),
        ),
        max_size=20,
    )
)
@settings(deadline=None, max_examples=50)
def test_writing_and_reading_is_the_identity(
    scratch: Path, rows: list[tuple[int, int, int, int]]
) -> None:
    table = np.array(sorted(rows), np.int64).reshape(-1, 4)
    events = Events.from_arrays(*table.T)
    write_atis(scratch, events)
    assert read_atis(scratch) == events


@given(st.binary(max_size=60))
@settings(deadline=None, max_examples=50)
def test_any_bytes_give_events_or_a_format_error(scratch: Path, data: bytes) -> None:
    scratch.write_bytes(data)
    if len(data) % 5:
        with pytest.raises(FormatError):
            read_atis(scratch)
    else:
        events = read_atis(scratch)
        assert events.count <= len(data) // 5
        assert not np.any(events["y"] == 240)
