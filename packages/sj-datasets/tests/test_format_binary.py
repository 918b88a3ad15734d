"""What the binary formats share."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sj_datasets.errors import FormatError
from sj_datasets.events import Events
from sj_datasets.formats._binary import (
    as_events,
    check_field,
    check_order,
    header_lines,
    read_file,
    records,
    write_file,
)


def test_reading_the_start_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"abc")
    assert read_file(path) == b"abc"
    assert read_file(path, 2) == b"ab"


@pytest.mark.parametrize(
    ("data", "lines", "end"),
    [
        (b"", [], 0),
        (b"x#a\n", [], 0),
        (b"#a\r\n# b: c \n\0", ["a", "b: c"], 12),
        (b"#a\n#unfinished", ["a"], 3),
        (b"#a\n#\0\n", ["a"], 3),
        (b"#a\n#" + b"b" * 70_000 + b"\n", ["a"], 3),
        (b"#a\n#end\n#b\n", ["a", "end"], 8),
    ],
)
def test_header_lines(data: bytes, lines: list[str], end: int) -> None:
    assert header_lines(data, b"#", "end") == (lines, end)


def test_records_are_whole() -> None:
    assert records("f", b"xx\1\0\2\0", 2, "<u2").tolist() == [1, 2]
    with pytest.raises(FormatError, match=r"f, byte 4: .*truncated"):
        records("f", b"xx\1\0\2", 2, "<u2")
    assert records("f", b"xx\1\0\2", 2, "<u2", strict=False).tolist() == [1]


def test_columns_become_events() -> None:
    events = Events.from_arrays(t=[1], x=[2], y=[3], p=[1])
    assert as_events(events) is events
    assert as_events(events.columns()) == events


def test_values_out_of_range_are_refused() -> None:
    check_field("t", np.array([], int), 0, 1, "this format")
    check_field("t", np.array([0, 1]), 0, 1, "this format")
    with pytest.raises(ValueError, match=r"this format holds t in 0\.\.1, got 0\.\.2"):
        check_field("t", np.array([0, 2]), 0, 1, "this format")


def test_times_that_go_back_are_refused() -> None:
    check_order(np.array([1, 1, 2]), "this format")
    with pytest.raises(ValueError, match=r"event 2 \(1\) is earlier than the one before \(3\)"):
        check_order(np.array([2, 3, 1]), "this format")


def test_parts_are_written_one_after_the_other(tmp_path: Path) -> None:
    write_file(tmp_path / "file", [b"ab", np.array([1, 2], "<u2")])
    assert (tmp_path / "file").read_bytes() == b"ab\1\0\2\0"
