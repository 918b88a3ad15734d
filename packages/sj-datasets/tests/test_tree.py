from __future__ import annotations

import logging
import pickle
from pathlib import Path

import pytest

from sj_datasets.manifest import Manifest
from sj_datasets.tree import Samples, SampleTree, list_samples

WANTED = Manifest("Toy", {"kind": "events"}, (4, 4))


def fill(folder, names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


@pytest.fixture
def tree(tmp_path):
    return SampleTree(tmp_path / "events_np", WANTED)


def test_a_tree_is_complete_when_it_was_finished(tree):
    assert not tree.is_complete("train")
    tree.begin()
    fill(tree.folder, ["train/a/1.npy", "test/a/1.npy", "test/a/2.npy"])
    assert not tree.is_complete("train")
    tree.finish("train")
    assert tree.is_complete("train") and not tree.is_complete("test")
    tree.finish("test")
    manifest = Manifest.read(tree.folder)
    assert manifest.splits == {"train": 1, "test": 2} and manifest.library


def test_samples_that_vanish_are_missed(tree):
    tree.begin()
    fill(tree.folder, ["a/1.npy", "a/2.npy"])
    tree.finish("")
    assert tree.is_complete("")
    (tree.folder / "a/1.npy").unlink()
    assert not tree.is_complete("")


def test_what_a_killed_process_left_is_cleared(tree):
    tree.begin()
    fill(tree.folder, ["a/1.npy", "a/.1.abc.npy"])
    (tree.folder / "a/.keep").touch()
    assert not tree.is_complete("")
    tree.begin()
    assert sorted(path.name for path in (tree.folder / "a").iterdir()) == [".keep", "1.npy"]


def test_a_tree_made_at_once_has_every_split(tree):
    tree.begin()
    fill(tree.folder, ["train/a/1.npy"])
    tree.finish("", whole=True)
    assert tree.is_complete("train") and tree.is_complete("test")
    (tree.folder / "train/a/1.npy").unlink()
    with pytest.raises(RuntimeError, match="had 1 samples, and has 0; delete"):
        tree.is_complete("train")


def test_trees_of_others_are_used_with_a_warning(tree, caplog):
    fill(tree.folder, ["train/a/1.npz"])
    with caplog.at_level(logging.WARNING):
        assert tree.is_complete("train")
    assert "no manifest.json: using it as it is" in caplog.text


def test_unfinished_trees_of_others_are_refused(tree):
    fill(tree.folder, ["train/a/1.npz"])
    marker = tree.folder.with_name("events_np.building")
    marker.touch()
    with pytest.raises(RuntimeError, match=r"events_np is unfinished: .*events_np\.building"):
        tree.is_complete("train")


def test_a_tree_made_in_another_way_is_refused(tree):
    tree.begin()
    fill(tree.folder, ["a/1.npy"])
    with pytest.raises(ValueError, match="sensor size"):
        SampleTree(tree.folder, Manifest("Toy", {"kind": "events"}, (5, 5))).is_complete("")


def test_samples_are_listed_by_the_names_of_their_classes(tmp_path):
    fill(tmp_path, ["10/b.npy", "2/a.npz", "10/a.npy", "1/deep/c.npy", "1/.d.x.npy"])
    (tmp_path / "2/readme.txt").touch()
    (tmp_path / "empty").mkdir()
    (tmp_path / ".hidden").mkdir()
    (tmp_path / "manifest.json").touch()
    classes, samples = list_samples(tmp_path, (".npy", ".npz"))
    assert classes == ["1", "10", "2", "empty"]
    assert samples == [
        (tmp_path / "1/deep/c.npy", 0),
        (tmp_path / "10/a.npy", 1),
        (tmp_path / "10/b.npy", 1),
        (tmp_path / "2/a.npz", 2),
    ]


def test_missing_splits_are_told(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such split"):
        list_samples(tmp_path / "train", (".npy",))
    with pytest.raises(FileNotFoundError, match="no class folders"):
        list_samples(tmp_path, (".npy",))


def test_samples_are_a_sequence(tmp_path):
    samples = Samples(tmp_path, ["a/1.npy", "a/2.npy", "b/3.npy"], [0, 0, 1])
    assert len(samples) == 3 and samples[-1] == (tmp_path / "b/3.npy", 1)
    assert samples[1:] == samples.subset([1, 2]) == [samples[1], samples[2]]
    assert samples != samples[1:] and samples != "other"
    assert (tmp_path / "a/2.npy", 0) in samples
    assert "3 in" in repr(samples)
    with pytest.raises(IndexError):
        samples[3]
    for each in (samples, samples[:0]):
        assert pickle.loads(pickle.dumps(each)) == each


def test_an_unfinished_tree_of_another_library_is_told(tree):
    fill(tree.folder, ["train/a/1.npz"])
    tree.folder.with_name("events_np.building").touch()
    with pytest.raises(RuntimeError, match="delete both, and extract"):
        tree.is_complete("train")


def test_an_empty_unfinished_tree_may_be_made_in_another_way(tree):
    tree.begin()
    other = Manifest("Toy", {"kind": "events", "function": 2}, (4, 4))
    another = SampleTree(tree.folder, other)
    assert not another.is_complete("train")
    another.begin()
    fill(tree.folder, ["train/a/1.npy"])
    assert not another.is_complete("train")
    with pytest.raises(ValueError, match="another settings"):
        tree.is_complete("train")


def test_samples_are_found_from_every_folder(tmp_path, monkeypatch):
    fill(tmp_path / "root", ["a/1.npy"])
    monkeypatch.chdir(tmp_path)
    samples = list_samples(Path("root"), (".npy",))[1]
    assert samples[0][0] == tmp_path / "root/a/1.npy"


def test_the_order_does_not_depend_on_numbers_of_frames(tmp_path):
    fill(tmp_path, ["a/s_1_5.npy", "a/s_10_7.npy", "a/s_2_11.npz"])
    names = [path.name for path, _ in list_samples(tmp_path, (".npy", ".npz"))[1]]
    assert names == ["s_10_7.npy", "s_1_5.npy", "s_2_11.npz"]
    ordered = list_samples(tmp_path, (".npy", ".npz"), counts_in_names=True)[1]
    assert [path.name for path, _ in ordered] == ["s_1_5.npy", "s_10_7.npy", "s_2_11.npz"]
