"""AEDAT 3.1 recordings."""

from __future__ import annotations

import struct
from io import FileIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sj_datasets.errors import FormatError
from sj_datasets.events import Events
from sj_datasets.formats._aedat3_packets import PacketReader
from sj_datasets.formats.aedat3 import load_aedat_v3, read_aedat3, write_aedat3

HEADER = b"#!AER-DAT3.1\r\n#Format: RAW\r\n#Source 1: DVS128\r\n#!END-HEADER\r\n"


def slot(x: int, y: int, p: int, t: int, valid: int = 1) -> bytes:
    return struct.pack("<II", x << 17 | y << 2 | p << 1 | valid, t)


def packet(
    *slots: bytes,
    kind: int = 1,
    size: int = 8,
    time_at: int = 4,
    overflow: int = 0,
    capacity: int | None = None,
    number: int | None = None,
) -> bytes:
    number = len(slots) if number is None else number
    capacity = len(slots) if capacity is None else capacity
    counts = (capacity, number, number)
    return struct.pack("<HHIIIIII", kind, 1, size, time_at, overflow, *counts) + b"".join(slots)


def columns(events: Events) -> list[list[int]]:
    return [events[field].tolist() for field in "txyp"]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "sample.aedat"


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("aedat3") / "sample.aedat"


def test_the_bits_of_a_slot(path: Path) -> None:
    path.write_bytes(HEADER + packet(slot(127, 3, 1, 9), slot(0, 127, 0, 0x7FFFFFFF)))
    assert columns(read_aedat3(path)) == [[9, 0x7FFFFFFF], [127, 0], [3, 127], [1, 0]]
    assert read_aedat3(path).sensor_size == (128, 128)
    assert load_aedat_v3(path)["x"].tolist() == [127, 0]


def test_overflows_add_2_31_us_to_their_packet(path: Path) -> None:
    parts = [packet(slot(1, 1, 1, 5), overflow=2), packet(slot(2, 2, 0, 6))]
    path.write_bytes(HEADER + b"".join(parts))
    assert read_aedat3(path)["t"].tolist() == [5 + (2 << 31), 6]


def test_unused_and_invalid_slots_are_no_events(path: Path) -> None:
    used = [slot(1, 1, 1, 1), slot(2, 2, 1, 2, valid=0), slot(3, 3, 1, 3)]
    path.write_bytes(HEADER + packet(*used, bytes(8), slot(9, 9, 1, 9), number=3, capacity=5))
    assert read_aedat3(path)["x"].tolist() == [1, 3]
    path.write_bytes(HEADER + packet(slot(2, 2, 1, 2, valid=0)))
    assert read_aedat3(path).count == 0


def test_packets_of_other_types_are_skipped(path: Path) -> None:
    special = packet(bytes(100), kind=0, size=25, capacity=4, number=1)
    path.write_bytes(HEADER + special + packet(slot(1, 1, 1, 1)) + special)
    assert read_aedat3(path)["x"].tolist() == [1]


def test_wide_slots_with_the_time_elsewhere(path: Path) -> None:
    wide = b"".join(struct.pack("<IQI", 7 << 17 | 1, 0, t) for t in (3, 4))
    other = packet(slot(1, 1, 0, 5))
    path.write_bytes(HEADER + packet(wide, size=16, time_at=12, capacity=2, number=2) + other)
    assert columns(read_aedat3(path))[:2] == [[3, 4, 5], [7, 7, 1]]


def test_wide_slots_in_a_packet_longer_than_a_block(path: Path) -> None:
    slots = np.zeros((70_000, 3), "<u4")
    slots[:, 0] = 5 << 17 | 1
    slots[:, 2] = np.arange(70_000)
    header = packet(size=12, time_at=8, capacity=70_000, number=70_000)
    path.write_bytes(HEADER + header + slots.tobytes())
    events = read_aedat3(path)
    np.testing.assert_array_equal(events["t"], np.arange(70_000))
    assert np.all(events["x"] == 5)


def test_a_header_alone_has_no_events(path: Path) -> None:
    path.write_bytes(HEADER)
    assert read_aedat3(path).count == 0
    assert read_aedat3(path).sensor_size == (128, 128)


@pytest.mark.parametrize(
    "source", [b"", b"#Source 1: Unheard\r\n", b"#Source 1: DVS128\r\n#Source 2: DAVIS346\r\n"]
)
def test_without_one_known_sensor_any_place_is_read(path: Path, source: bytes) -> None:
    header = b"#!AER-DAT3.1\r\n" + source + b"#!END-HEADER\r\n"
    path.write_bytes(header + packet(slot(32767, 32766, 1, 1)))
    events = read_aedat3(path)
    assert events.sensor_size is None
    assert columns(events) == [[1], [32767], [32766], [1]]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "found no header"),
        (b"#!AER-DAT2.0\r\n", "#!AER-DAT3.1"),
        (b"#!AER-DAT3.1\r\n#Format: RAW\r\n", "#!END-HEADER"),
        (b"#!AER-DAT3.1\r\n#Format: SerializedTS\r\n#!END-HEADER\r\n", "SerializedTS"),
        (HEADER + b"\1\0", "28 bytes, 2 are left"),
        (HEADER + packet(slot(1, 1, 1, 1), capacity=2), "ends after 8 bytes"),
        (HEADER + packet(slot(1, 1, 1, 1), number=2), "2 events in 1 slots"),
        (HEADER + packet(bytes(4), size=4), "slots of 4 bytes"),
        (HEADER + packet(bytes(8), time_at=5), "time at byte 5"),
        (HEADER + packet(bytes(8), time_at=0), "time at byte 0"),
        (HEADER + packet(bytes(8), kind=0x8001), "compressed"),
        (HEADER + packet(slot(128, 0, 1, 1)), "128 rows and 128 columns"),
        (HEADER + packet(slot(0, 128, 1, 1)), "y up to 128, x up to 0"),
    ],
)
def test_damaged_files_are_refused(path: Path, data: bytes, message: str) -> None:
    path.write_bytes(data)
    with pytest.raises(FormatError, match=message):
        read_aedat3(path)


def test_the_whole_events_of_a_truncated_file_can_be_kept(path: Path) -> None:
    data = HEADER + packet(*(slot(i, i, 1, i) for i in range(4)))
    path.write_bytes(data[:-3])
    with pytest.raises(FormatError, match="truncated") as raised:
        read_aedat3(path)
    assert raised.value.offset == len(HEADER)
    assert read_aedat3(path, strict=False).count == 3
    path.write_bytes(data + b"\1")
    assert read_aedat3(path, strict=False).count == 4


def test_a_packet_ends_at_its_capacity_and_where_the_time_overflows(path: Path) -> None:
    t = [1, 2, 3, (1 << 31) - 1, 1 << 31, 5]
    events = Events.from_arrays(t=t, x=range(6), y=range(6), p=[1] * 6, sensor_size=(180, 240))
    write_aedat3(path, events, capacity=3)
    assert read_aedat3(path) == events
    body = path.read_bytes().partition(b"END-HEADER\r\n")[2]
    # three, one, one after the overflow, one before it again
    assert len(body) == 4 * 28 + 6 * 8


def test_the_sensor_is_named_in_the_header_if_it_is_known(path: Path) -> None:
    columns = {"t": [0], "x": [0], "y": [0], "p": [0]}
    write_aedat3(path, Events.from_arrays(**columns, sensor_size=(260, 346)))
    assert b"#Source 1: DAVIS346\r\n" in path.read_bytes()
    write_aedat3(path, Events.from_arrays(**columns, sensor_size=(3, 4)))
    assert read_aedat3(path).sensor_size is None


@pytest.mark.parametrize(("field", "value"), [("x", 1 << 15), ("y", 1 << 15), ("t", -1)])
def test_what_the_format_cannot_hold_is_refused(path: Path, field: str, value: int) -> None:
    event = {"t": [0], "x": [0], "y": [0], "p": [0]} | {field: [value]}
    with pytest.raises(ValueError, match=f"AEDAT 3.1 holds {field} in 0"):
        write_aedat3(path, {key: np.array(value) for key, value in event.items()})
    assert not path.exists()


def test_packets_without_events_are_not_written(path: Path) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        write_aedat3(path, Events.from_arrays([], [], [], []), capacity=0)


@pytest.mark.parametrize("capacity", [997, 65_536, 150_000])
def test_recordings_and_packets_longer_than_a_block(path: Path, capacity: int) -> None:
    count = 140_000
    rng = np.random.default_rng(count)
    events = Events.from_arrays(
        t=np.sort(rng.integers(0, 1 << 33, count)),
        x=rng.integers(0, 128, count),
        y=rng.integers(0, 128, count),
        p=rng.integers(0, 2, count),
        sensor_size=(128, 128),
    )
    write_aedat3(path, events, capacity=capacity)
    assert read_aedat3(path) == events


@given(
    st.lists(
        st.tuples(
            st.integers(0, 2**63 - 1) | st.integers(0, 1 << 33),
            st.integers(0, 32767),
            st.integers(0, 32767),
            st.integers(0, 1),
        ),
        max_size=20,
    ),
    st.integers(1, 25),
)
@settings(deadline=None, max_examples=50)
def test_writing_and_reading_is_the_identity(
    scratch: Path, rows: list[tuple[int, int, int, int]], capacity: int
) -> None:
    events = Events.from_arrays(*np.array(rows, np.int64).reshape(-1, 4).T)
    write_aedat3(scratch, events, capacity=capacity)
    assert read_aedat3(scratch) == events


@given(st.integers(0, 250), st.binary(max_size=12), st.integers(20, 250), st.booleans())
@settings(deadline=None, max_examples=100)
def test_damage_gives_events_inside_the_sensor_or_a_format_error(
    scratch: Path, at: int, patch: bytes, end: int, strict: bool
) -> None:
    columns = {"t": range(10), "x": range(10), "y": range(10), "p": [1] * 10}
    write_aedat3(scratch, Events.from_arrays(**columns, sensor_size=(128, 128)), capacity=4)
    data = bytearray(scratch.read_bytes())
    data[at : at + len(patch)] = patch
    scratch.write_bytes(data[:end])
    try:
        events = read_aedat3(scratch, strict=strict)
    except FormatError:
        return
    assert events.count <= len(data) // 8
    assert events["t"].min(initial=0) >= 0


Packets = list[tuple[int, int, int, int, int]]


@st.composite
def packet_lists(draw: st.DrawFn) -> Packets:
    """Repeated packets: times, used slots, unused slots, overflow, bytes of a slot."""
    one = st.tuples(
        st.integers(1, 12),
        st.integers(0, 9),
        st.integers(0, 3),
        st.sampled_from([0, 0, 0, 2]),
        st.sampled_from([8, 8, 8, 8, 16]),
    )
    return draw(st.lists(one, max_size=8))


@settings(max_examples=200, deadline=None)
@given(packets=packet_lists(), chunk=st.sampled_from([64, 128, 264, 1 << 12]))
def test_slots_do_not_depend_on_packets_and_chunks(
    scratch: Path, packets: Packets, chunk: int
) -> None:
    parts, expected, n = [], [], 0
    for times, number, unused, overflow, size in packets:
        for _ in range(times):
            slots = [
                struct.pack("<II", n + i, 3 * (n + i)).ljust(size, b"x") for i in range(number)
            ]
            expected += [(n + i, 3 * (n + i), overflow) for i in range(number)]
            n += number
            rest = [bytes(size)] * unused
            parts.append(packet(*slots, *rest, number=number, overflow=overflow, size=size))
            parts[-1] = parts[-1][:24] + struct.pack("<I", n % 5) + parts[-1][28:]  # valid
    scratch.write_bytes(b"any bytes" + b"".join(parts))
    found = []
    with FileIO(scratch) as file:
        reader = PacketReader(scratch, file, len(b"any bytes"), strict=True, chunk=chunk)
        while not reader.ended:
            for slots, overflow in reader.read():
                for slot_ in slots.ravel().tolist():
                    found.append((slot_ & 0xFFFFFFFF, slot_ >> 32, overflow))
    assert found == expected


@pytest.mark.parametrize("alike", [2, 40])
def test_the_highest_bit_of_y_and_times_of_unaligned_slots(path: Path, alike: int) -> None:
    parts = [packet(slot(32767, 32767, 1, 7), slot(0, 16384, 0, 8)) for _ in range(alike)]
    path.write_bytes(HEADER.replace(b"DVS128", b"unknown") + b"".join(parts))
    events = read_aedat3(path)
    assert columns(events) == [
        [7, 8] * alike,
        [32767, 0] * alike,
        [32767, 16384] * alike,
        [1, 0] * alike,
    ]
