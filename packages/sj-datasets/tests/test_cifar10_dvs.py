"""CIFAR10-DVS: splits by name over one set of files."""

from __future__ import annotations

import re

import numpy as np
import pytest

from sj_datasets.cifar10_dvs import CIFAR10DVS, CIFAR10DVS_CLASS_NAMES, CIFAR10DVSTEBNSplit
from sj_datasets.fake import SyntheticDataWarning
from sj_datasets.split import split_to_train_test_set


def numbers(dataset, label=0):
    return [int(re.findall(r"\d+", p.stem)[1]) for p, target in dataset.samples if target == label]


def test_classes_and_names(open_fake):
    dataset = open_fake("CIFAR10DVS")
    assert tuple(dataset.classes) == CIFAR10DVS_CLASS_NAMES
    assert len(dataset) == 200 and dataset.samples[0][0].stem == "cifar10_airplane_0"


def test_tebn_split_tests_the_first_hundred(open_fake):
    train, test = (open_fake("CIFAR10DVS", split=f"tebn-{part}") for part in ("train", "test"))
    assert sorted(numbers(train)) == list(range(100, 110))
    assert sorted(numbers(test, label=7)) == list(range(10))
    assert train.targets == [label for _, label in train.samples]


def test_first90_split_is_that_of_split_to_train_test_set(open_fake):
    everything = open_fake("CIFAR10DVS")
    train, test = (open_fake("CIFAR10DVS", split=f"first90-{part}") for part in ("train", "test"))
    subsets = split_to_train_test_set(0.9, everything, 10)
    for part, subset in zip((train, test), subsets, strict=True):
        assert list(part.samples) == [everything.samples[i] for i in subset.indices]
    assert len(train) == 180


def test_every_named_split_has_a_rule_and_samples(open_fake):
    names = CIFAR10DVS.named_splits()
    assert all(names.values())
    for name in names:
        dataset = open_fake("CIFAR10DVS", split=name)
        assert set(dataset.targets) == set(range(10))
        sample, label = dataset[-1]
        assert label == dataset.targets[-1] and len(sample["t"])


def test_splits_of_a_relative_root(open_fake, tmp_path, monkeypatch):
    root = open_fake("CIFAR10DVS").cfg.root
    monkeypatch.chdir(root.parent)
    with pytest.warns(SyntheticDataWarning):
        dataset = CIFAR10DVS(root.name, split="tebn-test")
    monkeypatch.chdir(tmp_path)
    assert len(dataset[0][0]["t"])


@pytest.mark.parametrize("train", [True, False])
def test_class_of_the_tebn_split_equals_the_named_split(open_fake, train):
    named = open_fake("CIFAR10DVS", split="tebn-train" if train else "tebn-test")
    assert open_fake("CIFAR10DVSTEBNSplit", train=train).samples == named.samples


def test_split_folders_of_other_libraries_are_no_classes(tmp_path):
    events = tmp_path / "events_np"
    for name in CIFAR10DVS_CLASS_NAMES:
        for part, number in (("", 7), ("", 107), ("test", 7), ("train", 107)):
            folder = events / part / name
            folder.mkdir(parents=True, exist_ok=True)
            np.savez(folder / f"cifar10_{name}_{number}.npz", **{k: np.ones(1) for k in "txyp"})
    everything = CIFAR10DVS(tmp_path)
    assert tuple(everything.classes) == CIFAR10DVS_CLASS_NAMES
    assert everything.targets == [label for label in range(10) for _ in range(2)]
    assert numbers(CIFAR10DVSTEBNSplit(tmp_path, train=False), label=9) == [7]


def test_named_splits_need_numbered_names(tmp_path):
    (tmp_path / "events_np" / "cat").mkdir(parents=True)
    np.save(tmp_path / "events_np" / "cat" / "tom.npy", np.zeros(1))
    with pytest.raises(ValueError, match=r"tom\.npy.*cifar10_cat_17"):
        CIFAR10DVS(tmp_path, split="tebn-test")


def test_wrong_splits_are_refused_before_anything_else(tmp_path):
    with pytest.raises(ValueError, match="did you mean 'tebn-train'"):
        CIFAR10DVS(tmp_path / "absent", split="tebn_train")
    with pytest.raises(ValueError, match=r"got 'quarterly'$"):
        CIFAR10DVS(tmp_path / "absent", split="quarterly")
    with pytest.raises(ValueError, match="train must be True or False, got None"):
        CIFAR10DVSTEBNSplit(tmp_path / "absent", None)  # type: ignore[arg-type]


def test_facts_of_the_publisher():
    assert CIFAR10DVS.get_H_W() == (128, 128)
    assert CIFAR10DVS.downloadable() and CIFAR10DVSTEBNSplit.downloadable()
    assert len(CIFAR10DVS.resource_url_md5()) == 10
    assert CIFAR10DVSTEBNSplit.resource_url_md5() == CIFAR10DVS.resource_url_md5()
