"""DVS128 Gesture: hand and arm gestures seen by an event camera."""

from __future__ import annotations

import csv
import tarfile
import tempfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from .atomic import atomic_path
from .config import Conversion
from .errors import FormatError
from .events import Events
from .fake import synthetic_events
from .formats.aedat3 import read_aedat3, write_aedat3
from .split_folders import TrainTestFolder

__all__ = ["DVS128_GESTURE_CLASS_NAMES", "DVS128Gesture"]

DVS128_GESTURE_CLASS_NAMES: tuple[str, ...] = (
    "hand_clapping",
    "right_hand_wave",
    "left_hand_wave",
    "right_arm_clockwise",
    "right_arm_counter_clockwise",
    "left_arm_clockwise",
    "left_arm_counter_clockwise",
    "arm_roll",
    "air_drums",
    "air_guitar",
    "other_gestures",
)
"""Gestures by the name of their class folder, '0' to '10'."""

_ARCHIVE = "DvsGesture.tar.gz"
_LISTS = {"train": "trials_to_train.txt", "test": "trials_to_test.txt"}
_LIGHTS = ("fluorescent", "fluorescent_led", "lab", "led", "natural")
_FAKE_USERS = {"train": range(1, 11), "test": range(24, 27)}
_FAKE_EVENTS = 1100  # more than the 1000 that numpy prints in full
_FAKE_BEGIN_US = 80_000_000


class DVS128Gesture(TrainTestFolder):
    """Eleven gestures of 29 people under five lights.

    128 x 128 pixels (H x W), 1176 training and 288 test samples of 1 to 18 s. Each recording
    holds many gestures; its label file says when each begins and ends (start <= t < end), and
    every row of it is a sample, also where a gesture is repeated. Times are those of the
    recording. Files are handed out by hand only.

    The label is the position of the class folder among '0', '1', '10', '2', ... sorted as text.

    Amir et al.: A low power, fully event-based gesture recognition system, CVPR 2017.

    Args:
        root: folder of this dataset.
        train: the training samples, or the test samples.
        data_type: ``"event"`` or ``"frame"``.
        **options: see :class:`NeuromorphicDatasetFolder`, as the arguments before.
    """

    @classmethod
    def get_H_W(cls) -> tuple[int, int]:
        return 128, 128

    @classmethod
    def extract_downloaded_files(cls, download_root: Path, extract_root: Path) -> None:
        from .download import extract

        extract(download_root / _ARCHIVE, extract_root)

    @classmethod
    def conversions(cls, extract_root: Path) -> Iterable[Conversion]:
        folder = extract_root / "DvsGesture"
        for split, list_name in _LISTS.items():
            for line in (folder / list_name).read_text(encoding="utf-8").splitlines():
                if line.strip():
                    yield _conversion(folder / line.strip(), split)

    @classmethod
    def convert(cls, conversion: Conversion) -> Iterable[Events]:
        recording = read_aedat3(conversion.source).array
        for _, start, end in _rows(conversion):
            inside = (recording["t"] >= start) & (recording["t"] < end)
            yield Events(recording[inside], cls.get_H_W())

    @classmethod
    def write_fake(cls, download_root: Path, rng: np.random.Generator) -> None:
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary, "DvsGesture")
            folder.mkdir()
            for split, users in _FAKE_USERS.items():
                names = [f"user{user:02d}_{light}" for user in users for light in _LIGHTS]
                for name in names:
                    _write_fake_recording(folder / name, rng)
                (folder / _LISTS[split]).write_text(
                    "".join(f"{name}.aedat\n" for name in names), encoding="utf-8"
                )
            with (
                atomic_path(download_root / _ARCHIVE) as partial,
                tarfile.open(partial, "w:gz", compresslevel=1) as archive,
            ):
                archive.add(folder, "DvsGesture")
        rows = (f"{name},{k}" for k, name in enumerate(DVS128_GESTURE_CLASS_NAMES, start=1))
        mapping = "\n".join(("action,label", *rows))
        (download_root / "gesture_mapping.csv").write_text(mapping + "\n", encoding="utf-8")
        for name in ("LICENSE.txt", "README.txt"):
            (download_root / name).write_text("Synthetic data.\n", encoding="utf-8")


def _conversion(recording: Path, split: str) -> Conversion:
    """The samples of one recording, numbered per label in the order of its label file."""
    rows = _read_labels(recording.with_name(f"{recording.stem}_labels.csv"))
    outputs = []
    seen: dict[int, int] = {}
    for label, _, _ in rows:
        outputs.append(f"{split}/{label}/{recording.stem}_{seen.get(label, 0)}")
        seen[label] = seen.get(label, 0) + 1
    return Conversion(recording, tuple(outputs), detail=rows)


def _read_labels(path: Path) -> tuple[tuple[int, int, int], ...]:
    """(label, start, end) of every row of a label file, labels from 0, times in us."""
    rows = []
    with open(path, newline="", encoding="utf-8") as file:
        lines = csv.reader(file)
        next(lines, None)  # column names
        for line in lines:
            if not line:
                continue
            try:
                gesture, start, end = map(int, line)
            except ValueError:
                gesture, start, end = 0, 0, 0
            if not 1 <= gesture <= len(DVS128_GESTURE_CLASS_NAMES):
                raise FormatError(
                    path,
                    f"line {lines.line_num}: expected class (1 to 11), start, end, got {line}",
                )
            rows.append((gesture - 1, start, end))
    return tuple(rows)


def _rows(conversion: Conversion) -> tuple[tuple[int, int, int], ...]:
    rows = conversion.detail
    if not isinstance(rows, tuple):
        raise TypeError(f"{conversion.source}: label rows expected, got {rows!r}")
    return rows


def _write_fake_recording(path: Path, rng: np.random.Generator) -> None:
    """Eleven gestures one after the other, the eighth now and then twice, with pauses between."""
    gestures = [*range(11)]
    if rng.random() < 0.3:
        gestures.insert(8, 7)
    pieces, rows = [], []
    begin = _FAKE_BEGIN_US + int(rng.integers(0, 100_000))
    for label in gestures:
        duration = int(rng.integers(4_500_000, 7_000_000))
        events = synthetic_events(
            label, n_events=_FAKE_EVENTS, sensor_size=(128, 128), duration=duration, rng=rng
        ).array
        events["t"] += begin
        pieces.append(events)
        rows.append(f"{label + 1},{begin},{begin + duration}")
        # somebody stands still: a few events that belong to no gesture
        pause = synthetic_events(
            0, n_events=20, sensor_size=(128, 128), duration=400_000, rng=rng
        ).array
        pause["t"] += begin + duration
        pieces.append(pause)
        begin += duration + 400_000
    write_aedat3(path.with_suffix(".aedat"), Events(np.concatenate(pieces), (128, 128)))
    text = "\n".join(("class,startTime_usec,endTime_usec", *rows))
    path.with_name(f"{path.name}_labels.csv").write_text(text + "\n", encoding="utf-8")
