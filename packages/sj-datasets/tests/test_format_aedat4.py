"""AEDAT 4 recordings."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sj_datasets.errors import FormatError
from sj_datasets.events import Events
from sj_datasets.formats.aedat4 import read_aedat4, write_aedat4

METHODS = ["none", "lz4", "zstd"]
VERSION = b"#!AER-DAT4.0\r\n"


def sample(count: int = 10, sensor_size: tuple[int, int] | None = (48, 64)) -> Events:
    rng = np.random.default_rng(count)
    height, width = sensor_size or (32768, 32768)
    return Events.from_arrays(
        t=10**15 + np.sort(rng.integers(0, 10**6, count)),
        x=rng.integers(0, width, count),
        y=rng.integers(0, height, count),
        p=rng.integers(0, 2, count),
        sensor_size=sensor_size,
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "sample.aedat4"


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("aedat4") / "sample.aedat4"


def edited(path: Path, old: bytes, new: bytes) -> None:
    """Replace bytes of the XML text by as many others."""
    data = path.read_bytes()
    assert data.count(old) == 1
    assert len(old) == len(new)
    path.write_bytes(data.replace(old, new))


def first_packet(path: Path) -> int:
    data = path.read_bytes()
    return len(VERSION) + 4 + int.from_bytes(data[len(VERSION) :][:4], "little")


@pytest.mark.parametrize("compression", METHODS)
@pytest.mark.parametrize("count", [0, 1, 8192, 20_000])
def test_writing_and_reading_is_the_identity(path: Path, compression: str, count: int) -> None:
    events = sample(count)
    write_aedat4(path, events, compression=compression)
    assert read_aedat4(path) == events


@given(
    st.lists(
        st.tuples(
            st.integers(-(2**63), 2**63 - 1),
            st.integers(0, 32767),
            st.integers(0, 32767),
            st.integers(0, 1),
        ),
        max_size=20,
    ),
    st.sampled_from(METHODS),
)
@settings(deadline=None, max_examples=50)
def test_any_events_can_be_written(
    scratch: Path, rows: list[tuple[int, int, int, int]], compression: str
) -> None:
    columns = np.array(rows, np.int64).reshape(-1, 4).T
    events = Events.from_arrays(*columns, sensor_size=(32768, 32768))
    write_aedat4(scratch, events, compression=compression)
    assert read_aedat4(scratch) == events


def test_an_unknown_sensor_becomes_the_smallest_one(path: Path) -> None:
    write_aedat4(path, {"t": [1], "x": [5], "y": [7], "p": [1]})
    assert read_aedat4(path).sensor_size == (8, 6)
    write_aedat4(path, Events.from_arrays([], [], [], []))
    assert read_aedat4(path).sensor_size == (1, 1)


def test_only_packets_of_the_event_stream_are_read(path: Path) -> None:
    write_aedat4(path, sample())
    start = first_packet(path)
    data = path.read_bytes()
    edited(
        path, b'<node name="outInfo" path="/outInfo/">', b'<node name="outInfo"><node name="3"/> '
    )
    other = struct.pack("<ii", 3, 5) + b"frame"
    path.write_bytes(path.read_bytes()[:start] + other + data[start:] + other)
    assert read_aedat4(path) == sample()


def test_one_of_several_event_streams_must_be_chosen(path: Path) -> None:
    write_aedat4(path, sample())
    old = b'<attr key="originalModuleName" type="string">sj-datasets</attr>'
    new = b'</node><node name="4"><attr key="typeIdentifier">EVTS</attr>'
    edited(path, old, new.ljust(len(old)))
    with pytest.raises(ValueError, match=r"event streams \[4\]: choose"):
        read_aedat4(path, stream=0)
    old = b'<attr key="originalOutputName" type="string">events</attr>'
    new = b'</node><node name="0">'
    edited(path, old, new.ljust(len(old)))
    with pytest.raises(ValueError, match=r"event streams \[0, 4\]: choose"):
        read_aedat4(path)
    assert read_aedat4(path, stream=0) == sample()
    assert read_aedat4(path, stream=4).count == 0


def test_without_sensor_size_any_place_is_read(path: Path) -> None:
    events = sample(sensor_size=None)
    write_aedat4(path, events)
    edited(path, b'key="sizeX"', b'key="other"')
    assert read_aedat4(path) == events


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b"#!AER-DAT4.0", b"#!AER-DAT4.1", "#!AER-DAT4.0"),
        (b"IOHE", b"IOHF", "marked b'IOHF'"),
        (b"</dv>", b"</dw>", "damaged header"),
        (b'<dv version="2.0">', b"<!DOCTYPE a><a>   ", "entities"),
        (b">EVTS<", b">IMUS<", "no event stream"),
        (b'name="0"', b'name="x"', "no event stream"),
        (b">64<", b">9 <", "outside the 48 rows and 9 columns"),
    ],
)
def test_damaged_headers_are_refused(path: Path, old: bytes, new: bytes, message: str) -> None:
    write_aedat4(path, sample())
    edited(path, old, new)
    with pytest.raises(FormatError, match=message):
        read_aedat4(path)


def test_an_unknown_compression_is_refused(path: Path) -> None:
    write_aedat4(path, sample())
    data = bytearray(path.read_bytes())
    at = len(VERSION) + 4 + 28
    assert data[at : at + 4] == bytes(4)
    data[at] = 9
    path.write_bytes(data)
    with pytest.raises(FormatError, match="unknown compression"):
        read_aedat4(path)


@pytest.mark.parametrize(
    ("number", "size", "message"),
    [(0, -1, "cannot have -1 bytes"), (1, None, "no stream 1"), (0, 5, "damaged event packet")],
)
def test_damaged_packets_are_refused(
    path: Path, number: int, size: int | None, message: str
) -> None:
    write_aedat4(path, sample())
    start = first_packet(path)
    data = bytearray(path.read_bytes())
    whole = len(data) - start - 8
    struct.pack_into("<ii", data, start, number, whole if size is None else size)
    path.write_bytes(data)
    with pytest.raises(FormatError, match=message) as raised:
        read_aedat4(path)
    assert raised.value.offset == start


def test_a_truncated_file_is_refused_or_read_up_to_its_last_whole_packet(path: Path) -> None:
    events = sample(10_000)
    write_aedat4(path, events)
    data = path.read_bytes()
    start = first_packet(path)
    for cut in (len(data) - 1, start + 5):
        path.write_bytes(data[:cut])
        with pytest.raises(FormatError, match="ends early"):
            read_aedat4(path)
        assert read_aedat4(path, strict=False).count == (8192 if cut > start + 5 else 0)
    for cut in (3, 15, start - 1):
        path.write_bytes(data[:cut])
        with pytest.raises(FormatError):
            read_aedat4(path, strict=False)


def test_packets_end_where_the_table_of_packets_begins(path: Path) -> None:
    events = sample()
    write_aedat4(path, events)
    data = bytearray(path.read_bytes())
    at = len(VERSION) + 4 + 36
    assert struct.unpack_from("<q", data, at) == (-1,)
    struct.pack_into("<q", data, at, len(data))
    path.write_bytes(data + b"the table")
    assert read_aedat4(path) == events
    path.write_bytes(data[:-1])
    with pytest.raises(FormatError, match="table of packets"):
        read_aedat4(path)
    assert read_aedat4(path, strict=False).count == 0
    struct.pack_into("<q", data, at, 5)
    path.write_bytes(data)
    with pytest.raises(FormatError, match="table of packets at byte 5"):
        read_aedat4(path)


def test_a_packet_that_grows_beyond_measure_is_refused(path: Path) -> None:
    zstandard = pytest.importorskip("zstandard")
    write_aedat4(path, sample(0), compression="zstd")
    bomb = zstandard.ZstdCompressor().compress(bytes(1 << 23))
    path.write_bytes(path.read_bytes() + struct.pack("<ii", 0, len(bomb)) + bomb)
    with pytest.raises(FormatError, match="grows beyond"):
        read_aedat4(path)


@pytest.mark.parametrize("field", ["x", "y"])
def test_what_the_format_cannot_hold_is_refused(path: Path, field: str) -> None:
    event = {"t": [0], "x": [0], "y": [0], "p": [0]} | {field: [1 << 15]}
    with pytest.raises(ValueError, match=f"AEDAT 4 holds {field} in 0"):
        write_aedat4(path, {key: np.array(value) for key, value in event.items()})
    with pytest.raises(ValueError, match="'none', 'lz4' or 'zstd', got 'gzip'"):
        write_aedat4(path, sample(), compression="gzip")
    assert not path.exists()


@given(
    st.sampled_from(METHODS),
    st.lists(st.tuples(st.integers(0, 1500), st.integers(0, 255)), max_size=6),
    st.integers(0, 1500),
)
@settings(deadline=None, max_examples=150)
def test_damage_gives_events_inside_the_sensor_or_a_format_error(
    scratch: Path, compression: str, patches: list[tuple[int, int]], end: int
) -> None:
    write_aedat4(scratch, sample(), compression=compression)
    data = bytearray(scratch.read_bytes())
    for at, value in patches:
        data[at % len(data)] = value
    scratch.write_bytes(data[: max(end, 900)])
    try:
        events = read_aedat4(scratch)
    except FormatError:
        return
    assert events.count <= len(data)
