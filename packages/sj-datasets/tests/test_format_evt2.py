from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sj_datasets.errors import FormatError
from sj_datasets.events import Events
from sj_datasets.formats import evt2
from sj_datasets.formats.evt2 import read_evt2, write_evt2

HIGH, TRIGGER = 8, 10


def event(t: int, x: int, y: int, p: int) -> int:
    return p << 28 | (t & 63) << 22 | x << 11 | y


def stream(*words: int) -> bytes:
    return np.array(words, "<u4").tobytes()


def decode_word_by_word(words: list[int]) -> list[tuple[int, int, int, int]]:
    high, events = None, []
    for word in words:
        kind = word >> 28
        if kind == HIGH:
            part = word & 0xFFFFFFF
            if high is not None:
                wrapped = high % 2**28 - part > 2**27
                part += (high // 2**28 + wrapped) * 2**28
            high = part
        elif kind in (0, 1) and high is not None:
            t = high << 6 | word >> 22 & 63
            events.append((t, word >> 11 & 2047, word & 2047, kind))
    return events


WORDS = st.lists(
    st.integers(0, 2**29 - 1)
    | st.sampled_from([0, 1, 2**27, 2**28 - 1]).map(lambda high: HIGH << 28 | high)
    | st.integers(0, 2**32 - 1),
    max_size=40,
)


@given(words=WORDS, chunk=st.sampled_from([1, 3, 1 << 16]))
def test_any_words_decode_as_the_description_says(words, chunk, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "words.raw"
    path.write_bytes(b"% end\n" + stream(*words))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evt2, "_CHUNK", chunk)
        assert read_evt2(path).array.tolist() == decode_word_by_word(words)


def test_a_header_may_leave_the_version_out(tmp_path):
    path = tmp_path / "a.raw"
    path.write_bytes(b"% evt\n% end\n" + stream(HIGH << 28, event(0, 1, 2, 0)))
    assert read_evt2(path).count == 1


def test_triggers_are_skipped_and_events_without_time_left_out(tmp_path):
    path = tmp_path / "a.raw"
    path.write_bytes(
        stream(event(1, 2, 3, 1), HIGH << 28 | 2, TRIGGER << 28 | 77, event(5, 6, 7, 1))
    )
    assert read_evt2(path).array.tolist() == [(2 * 64 + 5, 6, 7, 1)]


def test_a_percent_sign_in_the_first_word_is_no_header(tmp_path):
    path = tmp_path / "a.raw"
    path.write_bytes(stream(HIGH << 28 | ord("%"), event(0, 1, 2, 0)))
    assert read_evt2(path)["t"].tolist() == [ord("%") * 64]


def test_words_that_look_like_a_line_after_the_end_of_the_header(tmp_path):
    path = tmp_path / "a.raw"
    path.write_bytes(b"% evt 2.0\n% end\n" + stream(HIGH << 28) + b"% a\n")
    # the word "% a\n" has type 0: an event
    assert read_evt2(path).count == 1
    path.write_bytes(b"% evt 2.0\n% end\n% a\n")
    assert read_evt2(path).count == 0


@settings(max_examples=40)
@given(
    rows=st.lists(
        st.tuples(
            st.integers(0, 2**40 - 1) | st.integers(0, 2000),
            st.integers(0, 2047),
            st.integers(0, 2047),
            st.integers(0, 1),
        ),
        max_size=20,
    ),
    size=st.sampled_from([None, (2048, 2048)]),
)
def test_what_is_written_is_read(rows, size, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "round.raw"
    columns = np.array(sorted(rows), np.int64).reshape(-1, 4).T
    events = Events.from_arrays(*columns, sensor_size=size)
    write_evt2(path, events)
    assert read_evt2(path) == events


@pytest.mark.parametrize(("column", "value"), [("t", -1), ("t", 1 << 40), ("x", 2048), ("y", 2048)])
def test_values_that_words_cannot_hold_are_refused(column, value, tmp_path):
    columns = {"t": [0], "x": [0], "y": [0], "p": [0]} | {column: [value]}
    with pytest.raises(ValueError, match=rf"EVT 2\.0 file holds {column} in"):
        write_evt2(tmp_path / "a.raw", Events.from_arrays(**columns))
    assert list(tmp_path.iterdir()) == []


def test_broken_files_are_named_with_their_offset(tmp_path):
    path = tmp_path / "a.raw"
    path.write_bytes(stream(HIGH << 28, event(0, 0, 0, 0))[:-1])
    with pytest.raises(FormatError, match=r"a\.raw, byte 4: .*truncated"):
        read_evt2(path)
    header = b"% geometry 4x3\n% end\n"
    path.write_bytes(header + stream(HIGH << 28, event(0, 3, 2, 0), event(0, 3, 3, 0)))
    with pytest.raises(FormatError, match="got x = 3, y = 3") as error:
        read_evt2(path)
    assert error.value.offset == len(header) + 8


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (b"% geometry 4\n% end\n", "a height of 1..65536 in the header, got ''"),
        (b"% geometry 0x3\n% end\n", "a width of 1..65536 in the header, got '0'"),
        (b"% format EVT2;height=a;width=3\n% end\n", "got 'a'"),
        (b"% evt 3.0\n% end\n", "use read_evt3"),
        (b"% evt 2.1\n", "convert it to EVT 2.0"),
        (b"% evt EVT2\n", "the header says 'EVT2'"),
        (b"% no line end", "line of readable text"),
        (b"% evt 2.0\n% abc\x01\n", "line of readable text"),
    ],
)
def test_bad_headers_are_refused(header, message, tmp_path):
    path = tmp_path / "a.raw"
    path.write_bytes(header)
    with pytest.raises(FormatError, match=message):
        read_evt2(path)
