from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sj_datasets.config import BuildOptions, NeuromorphicDatasetConfig


def frames(**fields):
    return NeuromorphicDatasetConfig(Path("x"), data_type="frame", **fields)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"data_type": "frames"}, "data_type must be 'event' or 'frame', got 'frames'"),
        ({"data_type": "frame"}, "exactly one of .* got none of them"),
        (
            {"data_type": "frame", "frames_number": 2, "split_by": "time", "duration": 5},
            "exactly one of .* got frames_number and duration",
        ),
        ({"data_type": "frame", "frames_number": 0, "split_by": "time"}, "positive integer, got 0"),
        ({"data_type": "frame", "frames_number": True, "split_by": "time"}, "integer, got True"),
        ({"data_type": "frame", "frames_number": 2.0, "split_by": "time"}, "integer, got 2.0"),
        ({"data_type": "frame", "frames_number": 2}, "split_by must be 'time' or 'number', got N"),
        ({"data_type": "frame", "duration": -1}, "duration must be a positive integer, got -1"),
        ({"data_type": "frame", "duration": "1"}, "duration must be an integer, got '1'"),
        ({"train": "yes"}, "train must be True, False or None, got 'yes'"),
    ],
)
def test_bad_fields_are_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        NeuromorphicDatasetConfig(Path("x"), **fields)


@pytest.mark.parametrize("name", ["", "a/b", "..", "download", "events_np", ".hidden"])
def test_frames_of_a_function_need_a_folder_of_their_own(name):
    with pytest.raises(ValueError, match="plain name"):
        frames(custom_integrate_function=max, custom_integrated_frames_dir_name=name)
    frames(custom_integrate_function=max, custom_integrated_frames_dir_name="fine")


def test_an_integrate_function_must_be_callable():
    with pytest.raises(TypeError, match=r"f\(events, H, W\), got 3"):
        frames(custom_integrate_function=3)


def test_a_configuration_is_plain_and_frozen():
    cfg = frames(frames_number=np.int64(3), split_by="time")
    assert type(cfg.frames_number) is int and cfg.root == Path("x")
    assert NeuromorphicDatasetConfig("y").root == Path("y")  # type: ignore[arg-type]
    with pytest.raises(AttributeError):
        cfg.train = True  # type: ignore[misc]


def test_options_are_checked():
    assert BuildOptions().dtype == np.float32
    assert BuildOptions(dtype="uint8", workers=0).dtype == np.dtype(np.uint8)
    with pytest.raises(TypeError, match="cash"):
        BuildOptions(cash=True)  # type: ignore[call-arg]
    with pytest.raises(ValueError, match="dtype must be"):
        BuildOptions(dtype=complex)
    with pytest.raises(ValueError, match="workers must be 0 or more, got -1"):
        BuildOptions(workers=-1)
    with pytest.raises(ValueError, match="workers must be an integer"):
        BuildOptions(workers=1.5)  # type: ignore[arg-type]
