"""Recorded frames: SpikingJelly's integration, with our rule for empty segments, and tonic's.

Where SpikingJelly raises on a segment without events, the recording holds empty frames, and so do
ours.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sj_datasets.formats.es_imagenet import read_es_imagenet
from sj_datasets.frames import (
    cal_fixed_frames_number_segment_index,
    integrate_events_by_fixed_duration,
    integrate_events_by_fixed_frames_number,
)
from sj_datasets.slicing import ToFrame

DATA = Path(__file__).parent / "data" / "datasets"
STREAMS = {
    stream["file"].removesuffix(".npz"): stream
    for stream in json.loads((DATA / "frames_manifest.json").read_text("utf-8"))["streams"]
}


def cases(kind: str) -> list[tuple[str, str]]:
    return [(name, case) for name, stream in STREAMS.items() for case in stream[kind]]


@cache
def recorded(name: str) -> dict[str, np.ndarray]:
    with np.load(DATA / f"{name}.npz") as arrays:
        return dict(arrays)


def events(name: str) -> dict[str, np.ndarray]:
    return {column: recorded(name)[column] for column in "txyp"}


def integrated(name: str, case: str) -> np.ndarray:
    kind, _, value = case.partition("_")
    H, W = STREAMS[name]["H"], STREAMS[name]["W"]
    if kind == "duration":
        return integrate_events_by_fixed_duration(events(name), int(value), H, W)
    return integrate_events_by_fixed_frames_number(events(name), kind, int(value), H, W)


@pytest.mark.parametrize(("name", "case"), cases("cases"))
def test_frames_are_as_recorded(name: str, case: str) -> None:
    frames = integrated(name, case)
    np.testing.assert_array_equal(frames, recorded(name)[case])
    facts: dict[str, Any] = STREAMS[name]["cases"][case]
    if "frames" in facts:
        assert len(frames) == facts["frames"]
        return
    kind, _, T = case.partition("_")
    j_l, j_r = cal_fixed_frames_number_segment_index(events(name)["t"], kind, int(T))
    assert (j_l.tolist(), j_r.tolist()) == (facts["j_l"], facts["j_r"])


@pytest.mark.parametrize(("name", "case"), cases("tonic_cases"))
def test_frames_are_cut_as_tonic_cuts_them(name: str, case: str) -> None:
    sensor_size = (STREAMS[name]["W"], STREAMS[name]["H"], 2)
    to_frame = ToFrame(sensor_size, **STREAMS[name]["tonic_cases"][case])
    np.testing.assert_array_equal(to_frame(events(name)), recorded(name)[case])


def test_every_recorded_array_is_compared() -> None:
    for name, stream in STREAMS.items():
        assert set(recorded(name)) == {*"txyp", *stream["cases"], *stream["tonic_cases"]}


def test_es_imagenet_is_integrated_as_recorded() -> None:
    sample = read_es_imagenet(DATA / "esimagenet_sample.npz")
    with np.load(DATA / "raw_formats_decoded.npz") as arrays:
        np.testing.assert_array_equal(
            integrate_events_by_fixed_frames_number(sample, "number", 1, 256, 256),
            arrays["esimagenet_number_1_frame"],
        )
        np.testing.assert_array_equal(
            integrate_events_by_fixed_duration(sample, 1, 256, 256),
            arrays["esimagenet_duration_1_frames"],
        )
