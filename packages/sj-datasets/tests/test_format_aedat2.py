"""AEDAT 2.0 recordings."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sj_datasets.errors import FormatError
from sj_datasets.events import Events
from sj_datasets.formats.aedat2 import read_aedat2, write_aedat2

HEADER = b"#!AER-DAT2.0\r\n# a comment\r\n"
SIZES = {"DVS128": (128, 128), "DAVIS240": (180, 240), "DAVIS346": (260, 346)}


def words(*pairs: tuple[int, int]) -> bytes:
    return b"".join(struct.pack(">II", *pair) for pair in pairs)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "sample.aedat"


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("aedat2") / "sample.aedat"


def columns(events: Events) -> list[list[int]]:
    return [events[field].tolist() for field in "txyp"]


def test_dvs128_addresses(path: Path) -> None:
    path.write_bytes(HEADER + words((100 << 8 | 7 << 1 | 1, 5), (0, 0xFFFFFFFF)))
    assert columns(read_aedat2(path)) == [[5, 0xFFFFFFFF], [27, 127], [120, 127], [0, 1]]
    raw = read_aedat2(path, orientation="raw")
    assert columns(raw) == [[5, 0xFFFFFFFF], [7, 0], [100, 0], [1, 0]]
    assert raw.sensor_size == (128, 128)


def test_davis_addresses_without_the_words_of_other_kinds(path: Path) -> None:
    event = 179 << 22 | 239 << 12 | 1 << 11
    path.write_bytes(HEADER + words((1 << 31 | event, 1), (event, 2), (5 << 22 | 1 << 10, 3)))
    events = read_aedat2(path, sensor="DAVIS240")
    assert columns(events) == [[2, 3], [239, 0], [179, 5], [1, 0]]
    assert events.sensor_size == (180, 240)


@pytest.mark.parametrize(
    ("chip", "size"),
    [
        ("eu.seebetter.ini.chips.davis.DAVIS240C", (180, 240)),
        ("Davis346Blue", (260, 346)),
        ("ch.unizh.ini.jaer.chip.retina.DVS128", (128, 128)),
        ("something else", (128, 128)),
    ],
)
def test_the_sensor_is_found_in_the_header(path: Path, chip: str, size: tuple[int, int]) -> None:
    path.write_bytes(HEADER + f"# AEChip: {chip}\r\n".encode() + words((0, 1)))
    assert read_aedat2(path).sensor_size == size


def test_a_davis_event_outside_the_sensor_is_refused(path: Path) -> None:
    path.write_bytes(HEADER + words((0, 1), (180 << 22, 2)))
    with pytest.raises(FormatError, match=r"180 rows and 240 columns.*y = 180, x = 0") as raised:
        read_aedat2(path, sensor="DAVIS240")
    assert raised.value.offset == len(HEADER) + 8
    assert read_aedat2(path, sensor="DAVIS346").count == 2


def test_an_event_that_begins_like_a_header_line_is_an_event(path: Path) -> None:
    # row 140 of a DAVIS is stored as the byte of "#"
    address = 140 << 22 | 10 << 12
    assert struct.pack(">I", address)[:1] == b"#"
    path.write_bytes(HEADER + words((address, 10)))
    assert read_aedat2(path, sensor="DAVIS240").count == 1
    end = b"#End Of ASCII Header\r\n"
    path.write_bytes(HEADER + end + b"#\0\nA" + b"\0\0\0\1")
    assert read_aedat2(path).count == 1


@pytest.mark.parametrize("data", [b"", b"\0" * 16, b"#!AER-DAT3.1\r\n", b"#!AER-DAT2.0"])
def test_another_version_is_refused(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    with pytest.raises(FormatError, match=r"#!AER-DAT2\.0"):
        read_aedat2(path)


def test_a_truncated_file_is_refused(path: Path) -> None:
    path.write_bytes(HEADER + words((0, 1)) + b"\0\0\0")
    with pytest.raises(FormatError, match="truncated") as raised:
        read_aedat2(path)
    assert raised.value.offset == len(HEADER) + 8
    assert read_aedat2(path, strict=False).count == 1


def test_a_header_alone_has_no_events(path: Path) -> None:
    path.write_bytes(HEADER)
    assert read_aedat2(path).count == 0
    assert read_aedat2(path, sensor="DAVIS240").count == 0


def test_unknown_options_are_refused(path: Path) -> None:
    with pytest.raises(ValueError, match="sensor must be one of DVS128, DAVIS240"):
        read_aedat2(path, sensor="DAVIS")
    with pytest.raises(ValueError, match="'upright' or 'raw'"):
        read_aedat2(path, orientation="flipped")


@pytest.mark.parametrize(
    ("field", "value", "sensor"),
    [("x", 128, None), ("y", 128, "DVS128"), ("y", 180, "DAVIS240"), ("t", 1 << 32, None)],
)
def test_what_the_format_cannot_hold_is_refused(
    path: Path, field: str, value: int, sensor: str | None
) -> None:
    event = {"t": [0], "x": [0], "y": [0], "p": [0]} | {field: [value]}
    with pytest.raises(ValueError, match=f"holds {field} in 0"):
        write_aedat2(path, {key: np.array(value) for key, value in event.items()}, sensor=sensor)
    assert not path.exists()


@given(
    st.sampled_from(list(SIZES)),
    st.sampled_from(["upright", "raw"]),
    st.integers(0, 30),
    st.integers(0, 2**32 - 1),
)
@settings(deadline=None, max_examples=50)
def test_writing_and_reading_is_the_identity(
    scratch: Path, sensor: str, orientation: str, count: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    height, width = SIZES[sensor]
    events = Events.from_arrays(
        t=rng.integers(0, 1 << 32, count),
        x=rng.integers(0, width, count),
        y=rng.integers(0, height, count),
        p=rng.integers(0, 2, count),
        sensor_size=(height, width),
    )
    write_aedat2(scratch, events, orientation=orientation)
    assert read_aedat2(scratch, orientation=orientation) == events


@given(st.integers(0, 150), st.binary(max_size=12), st.integers(0, 150))
@settings(deadline=None, max_examples=80)
def test_damage_gives_events_inside_the_sensor_or_a_format_error(
    scratch: Path, at: int, patch: bytes, end: int
) -> None:
    events = Events.from_arrays(
        t=range(10), x=range(10), y=range(10), p=[0, 1] * 5, sensor_size=(180, 240)
    )
    write_aedat2(scratch, events)
    data = bytearray(scratch.read_bytes())
    data[at : at + len(patch)] = patch
    scratch.write_bytes(data[: max(end, 20)])
    try:
        read = read_aedat2(scratch)
    except FormatError:
        return
    assert read.count <= len(data) // 8
    assert read.sensor_size in SIZES.values()
