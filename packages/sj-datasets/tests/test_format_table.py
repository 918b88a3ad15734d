"""The table of formats, and finding the one of a file."""

from __future__ import annotations

import dataclasses
import importlib
from pathlib import Path

import numpy as np
import pytest

from sj_datasets.errors import FormatError
from sj_datasets.events import Events
from sj_datasets.formats.table import (
    FORMATS,
    describe,
    detect_format,
    read_events,
    write_events,
)

# ASL-DVS files of the extra `mat` have their own tests
WRITTEN = [name for name in FORMATS if name != "asl_dvs"]


@pytest.fixture
def events() -> Events:
    """Three events that every format can hold."""
    return Events.from_arrays(t=[0, 2, 7], x=[3, 1, 20], y=[2, 30, 40], p=[1, 0, 1])


def suffix(name: str) -> str:
    return FORMATS[name].suffixes[0]


@pytest.mark.parametrize("name", FORMATS)
def test_readers_and_writers_exist(name: str) -> None:
    row = FORMATS[name]
    assert row.name == name
    assert row.about
    assert row.write is not None
    for where in (row.read, row.write):
        module, _, function = where.partition(":")
        assert callable(getattr(importlib.import_module(module), function))


@pytest.mark.parametrize("name", WRITTEN)
def test_written_files_are_recognised_and_read(name: str, tmp_path: Path, events: Events) -> None:
    path = tmp_path / f"sample{suffix(name)}"
    write_events(path, events, name)
    assert detect_format(path).name == name
    read = read_events(path)
    assert read.columns().keys() == events.columns().keys()
    for field in "xyp":
        np.testing.assert_array_equal(np.sort(read[field]), np.sort(events[field]))
    np.testing.assert_array_equal(read["t"] - read["t"][0], events["t"])


@pytest.mark.parametrize(
    ("suffix", "name"),
    [
        (".npz", "columns"),
        (".npy", "columns"),
        (".AEDAT", "aedat3"),
        (".aedat4", "aedat4"),
        (".raw", "evt3"),
        (".dat", "prophesee_dat"),
        (".bin", "atis"),
    ],
)
def test_the_suffix_chooses_what_is_written(
    suffix: str, name: str, tmp_path: Path, events: Events
) -> None:
    path = tmp_path / f"sample{suffix}"
    write_events(path, events)
    assert detect_format(path).name == name


def test_options_reach_the_reader(tmp_path: Path, events: Events) -> None:
    path = tmp_path / "sample.aedat"
    write_events(path, events, "aedat2")
    assert read_events(path, orientation="raw") != read_events(path)
    with pytest.raises(TypeError, match="orientatoin"):
        read_events(path, orientatoin="raw")


def test_a_named_format_is_not_searched(tmp_path: Path, events: Events) -> None:
    path = tmp_path / "sample.unusual"
    write_events(path, events, "atis")
    assert read_events(path, "atis") == events
    with pytest.raises(FormatError, match=r"unknown format; .*aedat4 \(\.aedat4\)"):
        read_events(path)


def test_unknown_names_and_suffixes_are_refused(tmp_path: Path, events: Events) -> None:
    with pytest.raises(ValueError, match="no format 'aedat'; did you mean 'aedat"):
        read_events(tmp_path / "a", "aedat")
    with pytest.raises(ValueError, match="no format 'zzz' Known: columns"):
        describe(tmp_path / "a", "zzz")
    with pytest.raises(ValueError, match=r"suffix '\.txt'; use one of \.aedat"):
        write_events(tmp_path / "a.txt", events)
    with pytest.raises(FileNotFoundError):
        detect_format(tmp_path / "missing.bin")


def test_a_format_without_writer_is_refused(
    tmp_path: Path, events: Events, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(FORMATS, "atis", dataclasses.replace(FORMATS["atis"], write=None))
    with pytest.raises(ValueError, match="'atis' can only be read"):
        write_events(tmp_path / "a.bin", events, "atis")
    with pytest.raises(ValueError, match=r"no format is written with the suffix '\.bin'"):
        write_events(tmp_path / "a.bin", events)


def dat(tmp_path: Path, words: list[int], header: bytes = b"") -> Path:
    path = tmp_path / "sample.dat"
    path.write_bytes(header + np.array(words, "<u8").tobytes())
    return path


HEADER = b"% a header\n\x0c\x08"


@pytest.mark.parametrize(
    ("words", "header", "name"),
    [
        ([1 << 49 | 239 << 41 | 303 << 32 | 5], HEADER, "navgesture"),
        ([1 << 49 | 239 << 41 | 303 << 32 | 5], b"", "navgesture"),
        ([5, 1 << 60 | 5], HEADER, "prophesee_dat"),
        ([5, 16 << 46 | 5], HEADER, "prophesee_dat"),
        ([], HEADER, "prophesee_dat"),
        ([5], b"% Data file containing CD events.\n\x0c\x08", "prophesee_dat"),
    ],
)
def test_two_kinds_of_dat_files(tmp_path: Path, words: list[int], header: bytes, name: str) -> None:
    assert detect_format(dat(tmp_path, words, header)).name == name


@pytest.mark.parametrize("words", [[], [1 << 60], [304 << 32], [240 << 41]])
def test_dat_files_that_could_be_anything_need_a_name(tmp_path: Path, words: list[int]) -> None:
    with pytest.raises(FormatError, match="unknown format"):
        detect_format(dat(tmp_path, words))


@pytest.mark.parametrize(
    ("name", "data", "format"),
    [
        ("a.raw", b"% evt 2.0\n", "evt2"),
        ("a.raw", b"% evt 3.0\n% end\n", "evt3"),
        ("a.raw", b"% date x\n% format EVT3;height=720;width=1280\n", "evt3"),
        ("a.raw", b"% format EVT2\n", "evt2"),
        ("a.mat", b"MATLAB 5.0 MAT-file", "asl_dvs"),
        ("a.mat", b"\x89HDF\r\n", "asl_dvs"),
        ("a.BIN", b"12345", "atis"),
    ],
)
def test_first_bytes_that_decide(tmp_path: Path, name: str, data: bytes, format: str) -> None:
    (tmp_path / name).write_bytes(data)
    assert detect_format(tmp_path / name).name == format


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.raw", b"% evt 4.0\n"),
        ("a.h5", b"\x89HDF\r\n"),
        ("a.npz", b"PK\3\4 broken"),
        ("a.npy", b"\x93NUMPY\1\0v\0{'descr': '<f8'}"),
        ("a.txt", b""),
    ],
)
def test_other_files_are_unknown(tmp_path: Path, name: str, data: bytes) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(FormatError, match="unknown format"):
        detect_format(tmp_path / name)


def test_describe(tmp_path: Path) -> None:
    path = tmp_path / "sample.aedat"
    events = Events.from_arrays(
        t=[5, 105, 55], x=[3, 1, 20], y=[2, 30, 40], p=[1, 0, 1], sensor_size=(128, 128)
    )
    write_events(path, events)
    description = describe(path)
    assert description == {
        "format": "aedat3",
        "about": "AEDAT 3.1: DVS128 Gesture",
        "bytes": path.stat().st_size,
        "events": 3,
        "sensor_size": (128, 128),
        "t_first": 5,
        "t_last": 55,
        "duration": 100,
        "rate": pytest.approx(30_000),
        "ordered": False,
        "x": (1, 20),
        "y": (2, 40),
        "brighter": pytest.approx(2 / 3),
        "header": ["!AER-DAT3.1", "Format: RAW", "Source 1: DVS128", "!END-HEADER"],
    }


def test_describe_files_of_one_instant_and_of_none(tmp_path: Path) -> None:
    path = tmp_path / "sample.bin"
    write_events(path, Events.from_arrays(t=[5, 5], x=[0, 0], y=[0, 0], p=[1, 1]))
    assert describe(path)["rate"] is None
    assert describe(path)["header"] == []
    write_events(path, Events.from_arrays([], [], [], []))
    assert describe(path) == {
        "format": "atis",
        "about": "40-bit events: N-MNIST, N-Caltech101",
        "bytes": 0,
        "events": 0,
        "sensor_size": None,
        "header": [],
    }


def test_describe_prophesee_headers(tmp_path: Path, events: Events) -> None:
    write_events(tmp_path / "a.raw", events)
    header = describe(tmp_path / "a.raw")["header"]
    assert isinstance(header, list)
    assert any("evt 3.0" in line for line in header)
