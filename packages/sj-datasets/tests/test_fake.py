from __future__ import annotations

import json
import os

import numpy as np
import pytest

from sj_datasets.errors import FormatError
from sj_datasets.fake import (
    MARKER,
    SyntheticDataWarning,
    prepare,
    settle_fake,
    synthetic_events,
)
from sj_datasets.n_mnist import NMNIST


def draw(label, rng=0, **changes):
    options = {"n_events": 300, "sensor_size": (20, 30), "duration": 1000} | changes
    return synthetic_events(label, rng=np.random.default_rng(rng), **options)


def test_synthetic_events_lie_on_the_sensor_and_fill_the_time():
    for label in range(40):
        events = draw(label, rng=label)
        assert events.count == 300 and events.sensor_size == (20, 30)
        assert events["t"][0] == 0 and events["t"][-1] == 999
        assert np.all(np.diff(events["t"]) >= 0)
        assert 0.2 < events["p"].mean() < 0.8


def test_the_same_seed_gives_the_same_events():
    assert draw(3) == draw(3) and draw(3) != draw(3, rng=1) and draw(3) != draw(4)


def test_labels_can_be_learned():
    def features(label, rng):
        # halves of the recording, on a grid of 5 x 5 pixels
        events = draw(label, rng)
        half = events["t"] >= 500
        cell = events["y"] // 4 * 5 + events["x"] // 6
        return np.bincount(half * 25 + cell, minlength=50).astype(float)

    labels = range(11)
    means = np.array([np.mean([features(c, r) for r in range(10)], axis=0) for c in labels])
    right = [
        np.argmin(((means - features(c, r)) ** 2).sum(1)) == c
        for c in labels
        for r in range(100, 110)
    ]
    assert np.mean(right) > 0.9


@pytest.mark.parametrize("change", [{"n_events": 1}, {"duration": 1}])
def test_impossible_events_are_refused(change):
    with pytest.raises(ValueError, match="needs label >= 0"):
        draw(0, **change)
    with pytest.raises(ValueError, match="needs label >= 0"):
        draw(-1)


class Toy:
    calls = 0

    @classmethod
    def dataset_name(cls):
        return "Toy"

    @classmethod
    def write_fake(cls, download_root, rng):
        cls.calls += 1
        (download_root / "toy.txt").write_text(str(rng.integers(1000)))


class Broken(Toy):
    @classmethod
    def write_fake(cls, download_root, rng):
        (download_root / "half.txt").touch()
        raise KeyboardInterrupt


class Other(Toy):
    @classmethod
    def dataset_name(cls):
        return "Other"


def settle(dataset, root, fake=False):
    with pytest.warns(SyntheticDataWarning, match="synthetic copy of Toy; results on it mean"):
        return settle_fake(dataset, root, fake)


def test_a_copy_is_written_once_and_marked(tmp_path):
    class Once(Toy):
        pass

    root = tmp_path / "a" / "b"
    assert settle(Once, root, fake=True) and settle(Once, root, fake=True) and settle(Once, root)
    assert Once.calls == 1
    marker = json.loads((root / MARKER).read_text())
    assert marker["dataset"] == "Toy" and marker["complete"] is True and "seed" in marker
    assert (root / "download" / "toy.txt").exists()


def test_copies_are_equal(tmp_path):
    for name in "ab":
        settle(Toy, tmp_path / name, fake=True)
    texts = [(tmp_path / name / "download/toy.txt").read_bytes() for name in "ab"]
    assert texts[0] == texts[1]


def test_real_data_are_left_alone(tmp_path):
    assert settle_fake(Toy, tmp_path, False) is False
    assert os.listdir(tmp_path) == []
    (tmp_path / "download").mkdir()
    with pytest.raises(FileExistsError, match=r"not empty \(download\).*drop fake=True"):
        settle_fake(Toy, tmp_path, True)
    assert settle_fake(Toy, tmp_path, False) is False
    assert not (tmp_path / MARKER).exists()


def test_a_copy_that_was_interrupted_is_begun_again(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        settle_fake(Broken, tmp_path, True)
    assert json.loads((tmp_path / MARKER).read_text())["complete"] is False
    assert settle(Toy, tmp_path)
    assert os.listdir(tmp_path / "download") == ["toy.txt"]


def test_a_copy_belongs_to_one_dataset(tmp_path):
    settle(Toy, tmp_path, fake=True)
    for fake in (True, False):
        with pytest.raises(ValueError, match="synthetic copy of Toy, not of Other"):
            settle_fake(Other, tmp_path, fake)


@pytest.mark.parametrize("text", ["{", "[]"])
def test_a_damaged_marker_is_told(tmp_path, text):
    (tmp_path / MARKER).write_text(text)
    with pytest.raises(FormatError, match="delete"):
        settle_fake(Toy, tmp_path, False)


@pytest.mark.filterwarnings("ignore::sj_datasets.fake.SyntheticDataWarning")
def test_prepare_makes_every_split(tmp_path):
    root = tmp_path / "new" / "root"
    sets = prepare("NMNIST", root, fake=True, data_type="event", progress=False, workers=0)
    assert [set_.root.name for set_ in sets] == ["train", "test"]
    (test,) = prepare(NMNIST, root, train=False, data_type="frame", duration=10**5, workers=0)
    assert len(test) == len(sets[1])
    assert not (root / "duration_100000" / "train").exists()


def test_prepare_refuses_what_it_does_not_know(tmp_path):
    with pytest.raises(ValueError, match="did you mean"):
        prepare("NMNISTT", tmp_path)
    with pytest.raises(TypeError, match="trian"):
        prepare("NMNIST", tmp_path, trian=True)


def test_prepare_takes_classes_of_other_kinds(tmp_path):
    def plain(root, fake=False, size=1):
        return root, fake, size

    assert prepare(plain, tmp_path, fake=True, size=3) == [(tmp_path, True, 3)]  # type: ignore[arg-type]
    assert prepare(plain, tmp_path) == [(tmp_path, False, 1)]  # type: ignore[arg-type]
