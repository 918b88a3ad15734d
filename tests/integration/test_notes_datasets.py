"""Section 2.2 of the learner's notes, on a synthetic copy of DVS128 Gesture, from the command on.

Only imports and paths differ from the notes.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

import sj_datasets as sjds
from sj_datasets import dvs128_gesture, pad_sequence_collate, padded_sequence_mask, play_frame
from sj_datasets.cifar10_dvs import CIFAR10DVS
from sj_datasets.dvs128_gesture import DVS128Gesture

pytestmark = pytest.mark.filterwarnings("ignore::sj_datasets.SyntheticDataWarning")


@pytest.fixture(scope="module")
def root_dir(tmp_path_factory: pytest.TempPathFactory) -> str:
    root = tmp_path_factory.mktemp("data") / "DVS128Gesture"
    command = [sys.executable, "-m", "sj_datasets", "prepare", "DVS128Gesture", str(root), "--fake"]
    subprocess.run(command, check=True, capture_output=True)
    return str(root)


def integrate_events_to_2_frames_randomly(events: dict, H: int, W: int):
    index_split = np.random.randint(low=0, high=events["t"].__len__())  # noqa: NPY002
    frames = np.zeros([2, 2, H, W])
    _, x, y, p = (events[key] for key in ("t", "x", "y", "p"))
    frames[0] = sjds.integrate_events_segment_to_frame(x, y, p, H, W, 0, index_split)
    frames[1] = sjds.integrate_events_segment_to_frame(
        x, y, p, H, W, index_split, events["t"].__len__()
    )
    return frames


def test_published_files_are_listed():
    assert CIFAR10DVS.downloadable()
    assert CIFAR10DVS.resource_url_md5()[0] == (
        "airplane.zip",
        "https://ndownloader.figshare.com/files/7712788",
        "0afd5c4bf9ae06af762a77b180354fdd",
    )
    assert not DVS128Gesture.downloadable()
    names = [name for name, _, _ in DVS128Gesture.resource_url_md5()]
    assert names == ["DvsGesture.tar.gz", "gesture_mapping.csv", "LICENSE.txt", "README.txt"]


def test_events(root_dir):
    train_set = DVS128Gesture(root_dir, train=True, data_type="event")
    assert {path.name for path in (Path(root_dir) / "events_np").iterdir() if path.is_dir()} == {
        "train",
        "test",
    }
    event, label = train_set[0]
    assert list(event.keys()) == ["t", "x", "y", "p"]
    assert len({len(event[key]) for key in event}) == 1
    assert event["t"][0] > 0  # the clock of the recording goes on
    assert label == 0


def test_frames_by_number(root_dir):
    train_set = DVS128Gesture(
        root_dir, train=True, data_type="frame", frames_number=20, split_by="number"
    )
    assert (Path(root_dir) / "frames_number_20_split_by_number").is_dir()
    frame, _ = train_set[0]
    assert frame.shape == (20, 2, 128, 128)
    frame, _ = train_set[500]
    play_frame(frame)


def test_frames_by_duration(root_dir):
    train_set = dvs128_gesture.DVS128Gesture(
        root_dir, data_type="frame", duration=1000000, train=True
    )
    lengths = []
    for i in range(5):
        x, _ = train_set[i]
        lengths.append(x.shape[0])
        assert x.shape[1:] == (2, 128, 128)
    assert len(set(lengths)) > 1
    train_data_loader = DataLoader(train_set, collate_fn=pad_sequence_collate, batch_size=5)
    x, _, x_len = next(iter(train_data_loader))
    assert x.shape == (5, max(lengths), 2, 128, 128)
    assert x_len.tolist() == lengths
    mask = padded_sequence_mask(x_len)
    assert mask.t().int().sum(dim=1).tolist() == lengths
    assert torch.equal(x.flatten(2).any(dim=2), mask.t())


def test_frames_by_a_function_of_the_user(root_dir):
    train_set = DVS128Gesture(
        root_dir,
        train=True,
        data_type="frame",
        custom_integrate_function=integrate_events_to_2_frames_randomly,
    )
    assert (Path(root_dir) / "integrate_events_to_2_frames_randomly").is_dir()
    frame, _ = train_set[500]
    assert frame.shape == (2, 2, 128, 128)
    play_frame(frame)
