from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sj_datasets.errors import FormatError
from sj_datasets.events import Events
from sj_datasets.formats import evt3
from sj_datasets.formats.evt3 import read_evt3, write_evt3

ROW, SINGLE, BASE, VECTOR_12, VECTOR_8, LOW, HIGH = 0, 2, 3, 4, 5, 6, 8


def stream(*words: tuple[int, int]) -> bytes:
    return np.array([kind << 12 | value for kind, value in words], "<u2").tobytes()


def decode_word_by_word(words: list[tuple[int, int]]) -> list[tuple[int, int, int, int]]:
    """The state machine of the format's description."""
    high = low = y = base = p = None
    events = []
    for kind, value in words:
        if kind == HIGH:
            part = value
            if high is None or part != high % 4096:
                low = 0
            if high is not None:
                wrapped = high % 4096 - part > 2048
                part += (high // 4096 + wrapped) * 4096
            high = part
        elif kind == LOW and high is not None:
            low = value
        elif kind == ROW:
            y = value & 2047
        elif kind == BASE:
            base, p = value & 2047, value >> 11
        elif kind == SINGLE and high is not None and y is not None:
            events.append((high * 4096 + low, value & 2047, y, value >> 11))
        elif kind in (VECTOR_12, VECTOR_8) and base is not None:
            width = 12 if kind == VECTOR_12 else 8
            if high is not None and y is not None:
                found = [base + bit for bit in range(width) if value >> bit & 1]
                if max(found, default=0) > 2047:
                    raise ValueError
                events += [(high * 4096 + low, x, y, p) for x in found]
            base += width
    return events


WORDS = st.lists(
    st.tuples(
        st.sampled_from([ROW, SINGLE, BASE, VECTOR_12, VECTOR_8, LOW, HIGH, HIGH, 1, 7, 10, 15]),
        st.integers(0, 4095) | st.sampled_from([0, 1, 4094, 4095]),
    ),
    max_size=60,
)


@given(words=WORDS, chunk=st.sampled_from([1, 2, 7, 1 << 16]))
def test_any_words_decode_as_the_state_machine_says(words, chunk, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "words.raw"
    path.write_bytes(stream(*words))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evt3, "_CHUNK", chunk)
        try:
            expected = decode_word_by_word(words)
        except ValueError:
            with pytest.raises(FormatError, match="columns below 2048"):
                read_evt3(path)
            return
        assert read_evt3(path).array.tolist() == expected


def test_vectors_advance_the_base_and_share_its_polarity(tmp_path):
    path = tmp_path / "a.raw"
    path.write_bytes(
        stream((HIGH, 1), (LOW, 5), (ROW, 7), (BASE, 100 | 1 << 11))
        + stream((VECTOR_12, 0b100000000001), (SINGLE, 3), (VECTOR_8, 0b10000010), (VECTOR_12, 1))
    )
    assert read_evt3(path).array.tolist() == [
        (4101, 100, 7, 1),
        (4101, 111, 7, 1),
        (4101, 3, 7, 0),
        (4101, 113, 7, 1),
        (4101, 119, 7, 1),
        (4101, 120, 7, 1),
    ]


@pytest.mark.parametrize("chunk", [1, 3, 100])
def test_state_is_carried_from_chunk_to_chunk(chunk, tmp_path, monkeypatch):
    monkeypatch.setattr(evt3, "_CHUNK", chunk)
    path = tmp_path / "a.raw"
    words = [(HIGH, 1), (LOW, 5), (ROW, 7), (BASE, 100), *[(VECTOR_8, 0b11)] * 4, (SINGLE, 9)]
    path.write_bytes(stream(*words))
    events = read_evt3(path)
    assert events["x"].tolist() == [100, 101, 108, 109, 116, 117, 124, 125, 9]
    assert events.array.tolist() == decode_word_by_word(words)


def test_vectors_beyond_the_last_column_are_refused(tmp_path):
    path = tmp_path / "a.raw"
    path.write_bytes(stream((HIGH, 0), (ROW, 0), (BASE, 2040), (VECTOR_12, 0x80), (VECTOR_8, 1)))
    with pytest.raises(FormatError, match="columns below 2048, a vector reaches 2052") as error:
        read_evt3(path)
    assert error.value.offset == 8


def test_high_bits_of_an_eight_pixel_vector_are_no_events(tmp_path):
    path = tmp_path / "a.raw"
    path.write_bytes(stream((HIGH, 0), (ROW, 0), (BASE, 0), (VECTOR_8, 0xF01)))
    assert read_evt3(path)["x"].tolist() == [0]


def test_time_low_survives_a_repeated_time_high_only(tmp_path):
    path = tmp_path / "a.raw"
    path.write_bytes(
        stream((HIGH, 1), (LOW, 9), (ROW, 0), (HIGH, 1), (SINGLE, 0), (HIGH, 2), (SINGLE, 1))
    )
    assert read_evt3(path)["t"].tolist() == [4096 + 9, 2 * 4096]


def test_time_wraps_after_24_bits_and_small_steps_back_do_not(tmp_path):
    path = tmp_path / "a.raw"
    words = [(ROW, 0)]
    for high in (4095, 0, 4000, 3999, 1):
        words += [(HIGH, high), (SINGLE, 0)]
    path.write_bytes(stream(*words))
    t = read_evt3(path)["t"] >> 12
    assert t.tolist() == [4095, 4096, 8096, 8095, 8193]


EVENTS = st.lists(
    st.tuples(
        st.integers(0, 2**40 - 1) | st.integers(0, 20_000),
        st.integers(0, 2047),
        st.integers(0, 2047),
        st.integers(0, 1),
    ),
    max_size=20,
)


@settings(max_examples=40)
@given(rows=EVENTS, size=st.sampled_from([None, (2048, 2048)]))
def test_what_is_written_is_read(rows, size, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "round.raw"
    columns = np.array(sorted(rows), np.int64).reshape(-1, 4).T
    events = Events.from_arrays(*columns, sensor_size=size)
    write_evt3(path, events)
    assert read_evt3(path) == events


def test_a_small_step_back_in_time_is_kept(tmp_path):
    events = Events.from_arrays([50_000, 40_000, 40_001], [1, 2, 3], [0, 0, 0], [0, 1, 0])
    write_evt3(tmp_path / "a.raw", events)
    assert read_evt3(tmp_path / "a.raw") == events


@pytest.mark.parametrize("t", [[9_000_000, 0], [1 << 24, (1 << 24) - 1]], ids=["far", "wrap"])
def test_a_step_back_that_would_read_as_a_wrap_is_refused(t, tmp_path):
    with pytest.raises(ValueError, match=r"EVT 3\.0.*step back.*event 1.*sort"):
        write_evt3(tmp_path / "a.raw", Events.from_arrays(t, [0, 0], [0, 0], [0, 0]))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("column", "value"), [("t", -1), ("t", 1 << 40), ("x", 2048), ("y", 2048)])
def test_values_that_words_cannot_hold_are_refused(column, value, tmp_path):
    columns = {"t": [0], "x": [0], "y": [0], "p": [0]} | {column: [value]}
    with pytest.raises(ValueError, match=rf"EVT 3\.0 file holds {column} in"):
        write_evt3(tmp_path / "a.raw", Events.from_arrays(**columns))


def test_the_first_event_outside_the_sensor_is_named_by_its_byte(tmp_path):
    path = tmp_path / "a.raw"
    header = b"% evt 3.0\n% geometry 4x3\n% end\n"
    path.write_bytes(header + stream((HIGH, 0), (ROW, 2), (SINGLE, 3), (SINGLE, 4)))
    with pytest.raises(FormatError, match="3 rows and 4 columns, got x = 4, y = 2") as error:
        read_evt3(path)
    assert error.value.offset == len(header) + 6


def test_a_file_that_ends_inside_a_word_is_refused(tmp_path):
    path = tmp_path / "a.raw"
    path.write_bytes(stream((HIGH, 0), (ROW, 2)) + b"\0")
    with pytest.raises(FormatError, match="truncated") as error:
        read_evt3(path)
    assert error.value.offset == 4
    assert read_evt3(path, strict=False).count == 0


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (b"% evt 2.0\n% end\n", r"'2\.0'; use read_evt2"),
        (b"% format EVT2;height=2;width=3\n% end\n", "'EVT2'; use read_evt2"),
        (b"% evt 2.1\n% end\n", r"'2\.1'; convert"),
        (b"% format EVT21;endianness=little\n% end\n", "'EVT21'; convert"),
    ],
)
def test_other_versions_are_refused_by_name(header, message, tmp_path):
    path = tmp_path / "a.raw"
    path.write_bytes(header)
    with pytest.raises(FormatError, match=message):
        read_evt3(path)


def test_missing_file_and_header_without_events(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.raw"):
        read_evt3(tmp_path / "none.raw")
    (tmp_path / "a.raw").write_bytes(b"% evt 3.0\n% format EVT3;height=240;width=304\n")
    events = read_evt3(tmp_path / "a.raw")
    assert events.count == 0
    assert events.sensor_size == (240, 304)
