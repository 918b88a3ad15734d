"""Event formats against recorded files: Prophesee, NavGesture, ASL-DVS, ES-ImageNet, columns.

The files were written by an independent encoder; the Prophesee ones decode to the same events.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from sj_datasets.events import Events
from sj_datasets.formats.asl_dvs import read_asl_dvs, write_asl_dvs
from sj_datasets.formats.columns import read_columns, write_columns
from sj_datasets.formats.es_imagenet import read_es_imagenet, write_es_imagenet
from sj_datasets.formats.evt2 import read_evt2, write_evt2
from sj_datasets.formats.evt3 import read_evt3, write_evt3
from sj_datasets.formats.navgesture import read_navgesture, write_navgesture
from sj_datasets.formats.prophesee_dat import read_prophesee_dat, write_prophesee_dat


@pytest.fixture(scope="session")
def folder(goldens: Path) -> Path:
    return goldens / "datasets"


@pytest.fixture(scope="session")
def decoded(folder: Path) -> dict[str, NDArray[Any]]:
    with np.load(folder / "raw_formats_decoded.npz") as arrays:
        return dict(arrays)


@pytest.mark.parametrize(
    ("file", "read", "key", "sensor_size"),
    [
        ("prophesee_sample.dat", read_prophesee_dat, "prophesee_dat_sample", (240, 304)),
        ("prophesee_evt2_sample.raw", read_evt2, "prophesee_dat_sample", (240, 304)),
        ("prophesee_evt3_sample.raw", read_evt3, "prophesee_dat_sample", (240, 304)),
        ("navgesture_sample.dat", read_navgesture, "navgesture_sample", (240, 304)),
        (
            "navgesture_nonmonotonic_sample.dat",
            read_navgesture,
            "navgesture_nonmonotonic_correct",
            (240, 304),
        ),
        ("asldvs_sample.mat", read_asl_dvs, "asldvs_sample", (180, 240)),
    ],
)
def test_recorded_files_decode_to_the_recorded_events(
    file: str,
    read: Any,
    key: str,
    sensor_size: tuple[int, int],
    folder: Path,
    decoded: dict[str, NDArray[Any]],
) -> None:
    events = read(folder / file)
    for field in "txyp":
        np.testing.assert_array_equal(events[field], decoded[f"{key}_{field}"], err_msg=field)
    assert events.sensor_size == sensor_size


def test_navgesture_keeps_rows_times_and_late_events_on_request(
    folder: Path, decoded: dict[str, NDArray[Any]]
) -> None:
    events = read_navgesture(
        folder / "navgesture_nonmonotonic_sample.dat",
        upright=False,
        from_zero=False,
        drop_backward=False,
    )
    assert events.count == 400
    late = events["t"] < np.maximum.accumulate(events["t"])
    kept = events.array[~late]
    key = "navgesture_nonmonotonic_correct"
    np.testing.assert_array_equal(kept["t"] - events["t"][0], decoded[f"{key}_t"])
    np.testing.assert_array_equal(239 - kept["y"], decoded[f"{key}_y"])


def frames(events: Events, frame: NDArray[Any], count: int) -> NDArray[np.int64]:
    """Events counted into ``[count, 2, 256, 256]``."""
    counts = np.zeros((count, 2, 256, 256), np.int64)
    np.add.at(counts, (frame, events["p"], events["y"], events["x"]), 1)
    return counts


def test_es_imagenet_per_step(folder: Path, decoded: dict[str, NDArray[Any]]) -> None:
    events = read_es_imagenet(folder / "esimagenet_sample.npz")
    assert (events["t"].min(), events["t"].max()) == (1, 8)
    assert np.all(np.diff(events["t"]) >= 0)
    one = frames(events, np.zeros(events.count, int), 1)
    np.testing.assert_array_equal(one, decoded["esimagenet_number_1_frame"])
    # steps 1..8 integrated over a duration of 1 give 7 frames, the last with steps 7 and 8
    steps = frames(events, np.minimum(events["t"] - 1, 6), 7)
    np.testing.assert_array_equal(steps, decoded["esimagenet_duration_1_frames"])


@pytest.mark.parametrize("file", ["hardvs_sample.npz", "dvslip_sample.npy"])
def test_columns_are_used_as_they_are(file: str, folder: Path) -> None:
    stored: Any = np.load(folder / file)
    events = read_columns(folder / file)
    for field in "txyp":
        np.testing.assert_array_equal(events[field], stored[field], err_msg=field)


@pytest.mark.parametrize(
    ("file", "read", "write", "options"),
    [
        ("prophesee_sample.dat", read_prophesee_dat, write_prophesee_dat, {}),
        ("prophesee_evt2_sample.raw", read_evt2, write_evt2, {}),
        ("prophesee_evt3_sample.raw", read_evt3, write_evt3, {}),
        (
            "navgesture_nonmonotonic_sample.dat",
            read_navgesture,
            write_navgesture,
            {"from_zero": False, "drop_backward": False},
        ),
        ("asldvs_sample.mat", read_asl_dvs, write_asl_dvs, {}),
        ("esimagenet_sample.npz", read_es_imagenet, write_es_imagenet, {}),
        ("hardvs_sample.npz", read_columns, write_columns, {}),
        ("dvslip_sample.npy", read_columns, write_columns, {}),
    ],
)
def test_recorded_events_survive_writing(
    file: str, read: Any, write: Any, options: dict[str, bool], folder: Path, tmp_path: Path
) -> None:
    events = read(folder / file, **options)
    write(tmp_path / file, events)
    assert read(tmp_path / file, **options) == events


@pytest.mark.parametrize(
    ("file", "write"),
    [
        ("prophesee_sample.dat", write_prophesee_dat),
        ("prophesee_evt2_sample.raw", write_evt2),
        ("prophesee_evt3_sample.raw", write_evt3),
    ],
)
def test_records_are_written_as_the_independent_encoder_did(
    file: str, write: Any, folder: Path, tmp_path: Path
) -> None:
    write(tmp_path / file, read_prophesee_dat(folder / "prophesee_sample.dat"))
    recorded, written = (place.joinpath(file).read_bytes() for place in (folder, tmp_path))
    # headers carry different remarks; the records after them must be the same
    length = len(recorded) - max(recorded.rfind(b"end\n") + 4, recorded.rfind(b"304\n") + 6)
    assert length > 2000
    assert written[-length:] == recorded[-length:]
