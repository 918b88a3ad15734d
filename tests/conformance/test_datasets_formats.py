"""Event formats against recorded files: 40-bit, AEDAT 2.0, 3.1 and 4, and finding the format.

The AEDAT 4 files were written by dv-processing 2.0.4, the others by an independent encoder.
"""

from __future__ import annotations

import csv
import json
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from sj_datasets.formats.aedat2 import read_aedat2, write_aedat2
from sj_datasets.formats.aedat3 import load_aedat_v3, read_aedat3, write_aedat3
from sj_datasets.formats.aedat4 import read_aedat4, write_aedat4
from sj_datasets.formats.atis import load_ATIS_bin, read_atis, write_atis
from sj_datasets.formats.table import detect_format, read_events


@pytest.fixture(scope="session")
def folder(goldens: Path) -> Path:
    return goldens / "datasets"


@pytest.fixture(scope="session")
def decoded(folder: Path) -> dict[str, NDArray[Any]]:
    with np.load(folder / "raw_formats_decoded.npz") as arrays:
        return dict(arrays)


def check(events: Mapping[str, NDArray[Any]], decoded: dict[str, NDArray[Any]], key: str) -> None:
    fields = [field for field in "txyp" if f"{key}_{field}" in decoded]
    assert len(fields) >= 3, key
    for field in fields:
        np.testing.assert_array_equal(events[field], decoded[f"{key}_{field}"], err_msg=field)


def test_the_files_are_the_recorded_ones(folder: Path) -> None:
    stored = json.loads((folder / "raw_formats.json").read_text())
    sums = {name: row["crc32"] for name, row in stored.items() if "crc32" in row}
    assert sums == {name: zlib.crc32((folder / name).read_bytes()) for name in sums}
    assert len(sums) == 10


@pytest.mark.parametrize("key", ["nmnist_sample", "nmnist_sample_tonic"])
def test_40_bit_events(folder: Path, decoded: dict[str, NDArray[Any]], key: str) -> None:
    check(read_atis(folder / "nmnist_sample.bin"), decoded, key)
    check(load_ATIS_bin(folder / "nmnist_sample.bin"), decoded, key)


@pytest.mark.parametrize("overflow", [True, False])
def test_40_bit_overflow_records(
    folder: Path, decoded: dict[str, NDArray[Any]], overflow: bool
) -> None:
    events = read_atis(folder / "ncaltech_overflow_sample.bin", overflow=overflow)
    check(events, decoded, f"ncaltech_overflow_{'applied' if overflow else 'ignored'}")


@pytest.mark.parametrize(
    ("orientation", "key"), [("upright", "cifar10dvs_sample"), ("raw", "cifar10dvs_sample_raw")]
)
def test_aedat2(folder: Path, decoded: dict[str, NDArray[Any]], orientation: str, key: str) -> None:
    check(read_aedat2(folder / "cifar10dvs_sample.aedat", orientation=orientation), decoded, key)


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("dvsgesture_sample", "dvsgesture_sample"),
        ("dvsgesture_capacity_sample", "dvsgesture_capacity_correct"),
    ],
)
def test_aedat3(folder: Path, decoded: dict[str, NDArray[Any]], name: str, key: str) -> None:
    events = read_aedat3(folder / f"{name}.aedat")
    check(events, decoded, key)
    check(load_aedat_v3(folder / f"{name}.aedat"), decoded, key)
    assert events.sensor_size == (128, 128)


def test_gesture_labels_select_the_recorded_number_of_events(folder: Path) -> None:
    t = read_aedat3(folder / "dvsgesture_sample.aedat")["t"]
    with open(folder / "dvsgesture_sample_labels.csv", newline="") as file:
        rows = [tuple(map(int, row)) for row in list(csv.reader(file))[1:]]
    counts = [int(np.count_nonzero((start <= t) & (t < end))) for _, start, end in rows]
    assert counts == [64, 83, 8]


@pytest.mark.parametrize("compression", ["none", "lz4", "lz4_high", "zstd", "zstd_high"])
def test_aedat4(folder: Path, compression: str) -> None:
    events = read_aedat4(folder / f"aedat4_{compression}.aedat4")
    with np.load(folder / "aedat4_decoded.npz") as expected:
        for field in "txyp":
            np.testing.assert_array_equal(events[field], expected[field], err_msg=field)
    assert events.sensor_size == (48, 64)


@pytest.mark.parametrize(
    ("name", "read", "write"),
    [
        ("nmnist_sample.bin", read_atis, write_atis),
        ("cifar10dvs_sample.aedat", read_aedat2, write_aedat2),
        ("dvsgesture_sample.aedat", read_aedat3, write_aedat3),
        ("aedat4_zstd.aedat4", read_aedat4, write_aedat4),
    ],
)
def test_recorded_events_survive_writing(
    folder: Path, tmp_path: Path, name: str, read: Any, write: Any
) -> None:
    events = read(folder / name)
    write(tmp_path / name, events)
    assert read(tmp_path / name) == events


@pytest.mark.parametrize(
    ("name", "format"),
    [
        ("nmnist_sample.bin", "atis"),
        ("ncaltech_overflow_sample.bin", "atis"),
        ("cifar10dvs_sample.aedat", "aedat2"),
        ("dvsgesture_sample.aedat", "aedat3"),
        ("aedat4_lz4.aedat4", "aedat4"),
        ("navgesture_sample.dat", "navgesture"),
        ("navgesture_nonmonotonic_sample.dat", "navgesture"),
        ("prophesee_sample.dat", "prophesee_dat"),
        ("prophesee_evt2_sample.raw", "evt2"),
        ("prophesee_evt3_sample.raw", "evt3"),
        ("asldvs_sample.mat", "asl_dvs"),
        ("esimagenet_sample.npz", "es_imagenet"),
        ("hardvs_sample.npz", "columns"),
        ("dvslip_sample.npy", "columns"),
    ],
)
def test_formats_are_found_and_read(folder: Path, name: str, format: str) -> None:
    assert detect_format(folder / name).name == format
    assert read_events(folder / name).count > 100
