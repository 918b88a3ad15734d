from __future__ import annotations

import logging
import pickle
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sj_datasets.split import Subset, create_sub_dataset, split_to_train_test_set

few = settings(max_examples=50)


class Numbers:
    """Sample i is i; labels are given; counts how many samples are read."""

    def __init__(self, labels, stored=True):
        self.labels = labels
        self.reads = 0
        if stored:
            self.targets = labels

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, i):
        self.reads += 1
        return i, self.labels[i]


@few
@given(
    labels=st.lists(st.integers(0, 3), max_size=40),
    ratio=st.floats(0, 1),
    random_split=st.booleans(),
)
def test_each_class_is_split_at_the_ceiling_of_its_share(labels, ratio, random_split):
    train, test = split_to_train_test_set(ratio, Numbers(labels), 4, random_split, seed=0)
    assert sorted(train.indices + test.indices) == list(range(len(labels)))
    for label in range(4):
        n = labels.count(label)
        assert train.targets.count(label) == int(np.ceil(n * ratio))
        assert test.targets.count(label) == n - int(np.ceil(n * ratio))
        if not random_split:
            mine = [i for i in range(len(labels)) if labels[i] == label]
            assert [i for i in train.indices if labels[i] == label] == mine[
                : int(np.ceil(n * ratio))
            ]


def test_stored_labels_spare_reading_the_samples():
    stored = Numbers([0, 1, 1, 0])
    split_to_train_test_set(0.5, stored, 2)
    assert stored.reads == 0
    unstored = Numbers([0, 1, 1, 0], stored=False)
    assert split_to_train_test_set(0.5, unstored, 2)[0].indices == [0, 1]
    assert unstored.reads == 4


@pytest.mark.parametrize("labels", [np.array([0, 1, 1, 0]), [np.array(0), np.int64(1), 1, 0]])
def test_labels_of_numpy_are_read(labels):
    assert split_to_train_test_set(0.5, Numbers(labels), 2)[0].indices == [0, 1]


def test_labels_of_torch_are_read():
    torch = pytest.importorskip("torch", reason="tensors need torch")
    labels = torch.tensor([0, 1, 1, 0])
    assert split_to_train_test_set(0.5, Numbers(labels), 2)[0].targets == [0, 1]


def test_a_seed_or_numpys_global_state_repeats_a_random_split():
    data = Numbers([0] * 30)
    first, second = (split_to_train_test_set(0.5, data, 1, True, seed=2)[0] for _ in range(2))
    assert first.indices == second.indices != list(range(15))
    again = []
    for _ in range(2):
        np.random.seed(1)  # noqa: NPY002
        again.append(split_to_train_test_set(0.5, data, 1, True)[0].indices)
    assert again[0] == again[1] != first.indices


def test_each_part_has_its_own_transform():
    train, test = split_to_train_test_set(
        0.5, Numbers([0, 0, 1, 1]), 2, train_transform=lambda x: -x, test_transform=str
    )
    assert [train[i] for i in range(2)] == [(0, 0), (-2, 1)]
    assert [test[i] for i in range(2)] == [("1", 0), ("3", 1)]
    assert len(train) == 2


def test_parts_can_be_split_and_pickled():
    train, _ = split_to_train_test_set(0.8, Numbers([0, 1] * 5), 2)
    inner, rest = split_to_train_test_set(0.5, train, 2)
    assert inner[0] == (0, 0)
    assert len(inner) + len(rest) == len(train)
    assert pickle.loads(pickle.dumps(inner))[1] == inner[1]


@pytest.mark.parametrize(
    ("ratio", "classes", "message"), [(1.5, 2, "train_ratio"), (0.5, 1, "label 1, expected 0..0")]
)
def test_wrong_arguments_are_named(ratio, classes, message):
    with pytest.raises(ValueError, match=message):
        split_to_train_test_set(ratio, Numbers([0, 1]), classes)
    with pytest.raises(IndexError, match="index 7"):
        Subset(Numbers([0]), [7])


@pytest.fixture
def tree(tmp_path):
    source = tmp_path / "source"
    for name in ("train/a", "train/b", "test/a"):
        folder = source / name
        folder.mkdir(parents=True)
        for i in range(4):
            (folder / f"{i}.npz").write_text(f"{name}{i}")
    return source


def files(folder):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


@pytest.mark.parametrize("linked", [True, False])
def test_a_share_of_every_folder_is_taken(tree, tmp_path, linked):
    target = tmp_path / "target"
    for _ in range(2):  # a second time changes nothing
        create_sub_dataset(tree, target, 0.5, use_soft_link=linked)
    assert files(target) == [
        f"{f}/{i}.npz" for f in ("test/a", "train/a", "train/b") for i in range(2)
    ]
    one = target / "test/a/1.npz"
    assert one.is_symlink() == linked
    assert one.read_text() == "test/a1"


def test_broken_links_are_made_anew(tree, tmp_path):
    folder = tmp_path / "target/test/a"
    folder.mkdir(parents=True)
    (folder / "0.npz").symlink_to(tmp_path / "gone")
    create_sub_dataset(tree, tmp_path / "target", 1.0)
    assert (folder / "0.npz").read_text() == "test/a0"


def test_random_files_are_taken_on_request(tree, tmp_path):
    taken = set()
    for seed in range(8):
        target = tmp_path / str(seed)
        create_sub_dataset(tree, target, 0.5, randomly=True, seed=seed)
        taken.add(tuple(files(target)))
    assert len(taken) > 1


def test_a_share_of_nothing_is_told(tree, tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        create_sub_dataset(tree, tmp_path / "t", 0.1)
    assert len(caplog.records) == 3
    assert files(tmp_path / "t") == []


def test_folders_are_checked(tree, tmp_path):
    with pytest.raises(FileNotFoundError, match="no such folder"):
        create_sub_dataset(tmp_path / "none", tmp_path / "t", 0.5)
    with pytest.raises(ValueError, match="ratio"):
        create_sub_dataset(tree, tmp_path / "t", 2)
    with pytest.raises(ValueError, match="lies within"):
        create_sub_dataset(tree, tree / "part", 0.5)


def test_splitting_needs_no_torch():
    code = "import sys, sj_datasets.split; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
