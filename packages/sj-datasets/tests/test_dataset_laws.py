"""Laws that every event dataset keeps, on its synthetic copy in the publisher's format."""

from __future__ import annotations

import inspect
import pickle
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sj_datasets.folder import NeuromorphicDatasetFolder
from sj_datasets.registry import DATASETS, dataset_class

OTHERS = {
    "SpikingHeidelbergDigits", "SpikingSpeechCommands",  # one h5 file per split
    "SpeechCommands", "MNIST", "FashionMNIST", "CIFAR10",  # no events
}  # fmt: skip
NAMES = [name for name in DATASETS if name not in OTHERS]
LINKED = {"HARDVS", "DVSLip", "ESImageNet"}  # their events stay in extract
FRAMES: dict[str, dict[str, Any]] = {
    "number": {"frames_number": 3, "split_by": "number"},
    "time": {"frames_number": 2, "split_by": "time"},
}
UNIT = {"ESImageNet": 3}  # of a duration: steps there, microseconds elsewhere

MANY = {"DVS128Gesture", "DVSLip", "NCaltech101"}  # cached for one kind of frames only, for time
DOCUMENTED = [
    "data_type", "frames_number", "split_by", "duration", "custom_integrate_function",
    "custom_integrated_frames_dir_name", "transform", "target_transform",
]  # fmt: skip

each_dataset = pytest.mark.parametrize("name", NAMES)


@pytest.fixture
def parts(open_fake):
    """Name of a dataset -> its splits, opened with the given arguments."""
    return lambda name, **arguments: [
        open_fake(name, **split, **arguments) for split in dataset_class(name).split_arguments()
    ]


def some(dataset: Any) -> list[int]:
    """Indices of a few samples, first and last among them."""
    return sorted({*range(0, len(dataset), max(1, len(dataset) // 6)), len(dataset) - 1})


def identity(dataset: Any) -> set[str]:
    return {f"{path.parent.name}/{path.stem}" for path, _ in dataset.samples}


@contextmanager
def hidden(*folders: Path) -> Iterator[None]:
    for folder in folders:
        folder.rename(folder.with_name(f"{folder.name}.hidden"))
    try:
        yield
    finally:
        for folder in folders:
            folder.with_name(f"{folder.name}.hidden").rename(folder)


@each_dataset
def test_every_dataset_of_the_registry_is_a_folder_or_listed(name):
    assert issubclass(dataset_class(name), NeuromorphicDatasetFolder)
    assert set(DATASETS) > OTHERS


@each_dataset
def test_arguments_come_in_the_documented_order(name):
    _, root, *others = inspect.signature(dataset_class(name).__init__).parameters
    assert root == "root"
    chosen = set().union(*dataset_class(name).split_arguments())
    assert [argument for argument in others if argument not in chosen][:8] == DOCUMENTED


@each_dataset
def test_labels_are_known_without_reading_and_agree(name, parts):
    for dataset in parts(name):
        assert dataset.classes == sorted(dataset.classes)
        assert dataset.class_to_idx == {c: i for i, c in enumerate(dataset.classes)}
        assert dataset.targets == [label for _, label in dataset.samples]
        assert [dataset[i][1] for i in some(dataset)] == [dataset.targets[i] for i in some(dataset)]
        count = Counter(dataset.targets)
        assert set(count) == set(range(len(dataset.classes))) and min(count.values()) >= 2


@each_dataset
def test_splits_share_classes_and_no_sample(name, parts):
    datasets = parts(name)
    for dataset in datasets[1:]:
        assert dataset.classes == datasets[0].classes
    names = [path.resolve() for dataset in datasets for path, _ in dataset.samples]
    assert len(set(names)) == len(names) == sum(map(len, datasets))


@each_dataset
def test_events_are_columns_inside_the_sensor(name, parts):
    height, width = dataset_class(name).get_H_W()
    for dataset in parts(name):
        for i in some(dataset):
            events, _ = dataset[i]
            assert list(events) == ["t", "x", "y", "p"]
            assert len({len(column) for column in events.values()}) == 1 and len(events["t"])
            assert events["x"].min() >= 0 and events["x"].max() < width
            assert events["y"].min() >= 0 and events["y"].max() < height
            assert set(np.unique(events["p"])) <= {0, 1}


@each_dataset
@pytest.mark.parametrize("kind", FRAMES)
def test_frames_count_every_event_once_on_the_fly_or_cached(name, kind, parts):
    sensor = dataset_class(name).get_H_W()
    arguments = {"data_type": "frame", **FRAMES[kind]}
    events, fly = parts(name), parts(name, cache=False, **arguments)
    cached = parts(name, cache=kind == "number" or name not in MANY, **arguments)
    for e, c, f in zip(events, cached, fly, strict=True):
        assert c.targets == f.targets == e.targets
        assert identity(c) == identity(f) == identity(e)
        for i in some(c):
            frames, _ = c[i]
            assert frames.shape == (arguments["frames_number"], 2, *sensor)
            assert frames.dtype == np.float32 and frames.sum() == len(e[i][0]["t"])
            np.testing.assert_array_equal(frames, f[i][0])


@each_dataset
def test_frames_of_one_duration_count_every_event_once(name, parts):
    longest = max(np.ptp(d[i][0]["t"]) for d in parts(name) for i in some(d))
    duration = UNIT.get(name, int(longest) // 3 + 1)
    arguments = {"data_type": "frame", "duration": duration, "cache": False}
    for e, f in zip(parts(name), parts(name, **arguments), strict=True):
        for i in some(e):
            frames, label = f[i]
            t = e[i][0]["t"]
            assert len(frames) == max(1, -(-np.ptp(t).astype(int) // duration))
            assert frames.sum() == len(t) and label == e.targets[i]


@each_dataset
def test_second_opening_needs_no_raw_files(name, fake_tree, parts):
    root = fake_tree(name)
    first = parts(name)
    gone = [root / "download"] if name in LINKED else [root / "download", root / "extract"]
    with hidden(*[folder for folder in gone if folder.exists()]):
        second = parts(name)
        assert [d.samples for d in second] == [d.samples for d in first]
        assert len(second[0][0][0]["t"]) == len(first[0][0][0]["t"])


@each_dataset
def test_datasets_travel_to_loader_processes(name, parts):
    dataset = parts(name, data_type="frame", cache=False, **FRAMES["number"])[0]
    copy = pickle.loads(pickle.dumps(dataset))
    assert copy.samples == dataset.samples and copy.classes == dataset.classes
    np.testing.assert_array_equal(copy[0][0], dataset[0][0])


@each_dataset
def test_transforms_change_a_copy(name, parts):
    dataset = parts(name)[0]
    other = dataset.with_transform(lambda events: len(events["t"]), lambda label: -label)
    sample, label = other[-1]
    assert sample == len(dataset[-1][0]["t"]) and label == -dataset.targets[-1]
    assert other.targets == dataset.targets and isinstance(dataset[0][0], dict)
