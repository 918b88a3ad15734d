from __future__ import annotations

import os

import numpy as np
import pytest

from sj_datasets import conversion as module
from sj_datasets.cache import load_events
from sj_datasets.config import BuildOptions, Conversion
from sj_datasets.conversion import build_events, link
from sj_datasets.events import Events
from sj_datasets.manifest import Manifest
from sj_datasets.tree import SampleTree

OPTIONS = BuildOptions(progress=False)


class Toy:
    """Text files of two numbers: x of two events, one sample each."""

    jobs: tuple[Conversion, ...] = ()

    @classmethod
    def dataset_name(cls):
        return "Toy"

    @classmethod
    def conversions(cls, extract_root):
        return [Conversion(extract_root / job.source, job.outputs, job.link) for job in cls.jobs]

    @classmethod
    def convert(cls, conversion):
        for x in map(int, conversion.source.read_text().split()):
            yield Events.from_arrays([0], [x], [0], [1], (8, 8))


@pytest.fixture
def tree(tmp_path):
    return SampleTree(tmp_path / "events_np", Manifest("Toy", {"kind": "events"}, (8, 8)))


@pytest.fixture
def extract(tmp_path):
    folder = tmp_path / "extract"
    folder.mkdir()
    (folder / "a.txt").write_text("1 2")
    (folder / "b.txt").write_text("3")
    np.savez(folder / "c.npz", **{key: np.zeros(1, int) for key in "txyp"})
    return folder


def toy(*jobs):
    return type("Toy", (Toy,), {"jobs": jobs})


def names(tree):
    return sorted(str(p.relative_to(tree.folder)) for p in tree.folder.rglob("*.np?"))


def test_one_file_may_hold_many_samples_and_only_the_split_is_built(tree, extract):
    dataset = toy(
        Conversion("a.txt", ("train/x/a_0", "train/y/a_1")), Conversion("b.txt", ("test/z/b",))
    )
    build_events(dataset, extract, tree, "train", OPTIONS)
    assert names(tree) == ["train/x/a_0.npy", "train/y/a_1.npy"]
    assert (tree.folder / "train/z").is_dir()  # classes agree between the splits
    assert load_events(tree.folder / "train/y/a_1.npy")["x"] == [2]
    assert tree.is_complete("train") and not tree.is_complete("test")
    build_events(dataset, extract, tree, "test", OPTIONS)
    assert tree.is_complete("test") and len(names(tree)) == 3


def test_samples_that_are_there_are_not_made_again(tree, extract):
    dataset = toy(Conversion("a.txt", ("x/a_0", "x/a_1")), Conversion("b.txt", ("x/b",)))
    build_events(dataset, extract, tree, "", OPTIONS)
    (tree.folder / "x/a_0.npy").unlink()
    (extract / "b.txt").unlink()
    before = (tree.folder / "x/a_1.npy").stat().st_mtime_ns
    build_events(dataset, extract, tree, "", OPTIONS)
    assert len(names(tree)) == 3
    assert (tree.folder / "x/a_1.npy").stat().st_mtime_ns == before


@pytest.mark.parametrize("outputs", [("x/a_0",), ("x/a_0", "x/a_1", "x/a_2")])
def test_a_wrong_number_of_samples_is_told(tree, extract, outputs):
    with pytest.raises(ValueError, match="zip") as caught:
        build_events(toy(Conversion("a.txt", outputs)), extract, tree, "", OPTIONS)
    assert any("a.txt" in note for note in caught.value.__notes__)
    assert not tree.is_complete("")


def test_two_files_cannot_make_one_sample(tree, extract):
    with pytest.raises(ValueError, match=r"b\.txt: sample x/a comes from two files"):
        build_events(
            toy(Conversion("c.npz", ("x/a",)), Conversion("b.txt", ("x/a",))),
            extract, tree, "", OPTIONS,
        )  # fmt: skip


@pytest.mark.parametrize("name", ["a", "x/../a", "/x/a", "x/y/a", "x/", "x\\y/a"])
def test_names_stay_within_the_tree(tree, extract, name):
    with pytest.raises(ValueError, match="no name of a sample"):
        build_events(toy(Conversion("b.txt", (name,))), extract, tree, "", OPTIONS)
    assert not tree.folder.exists()


def test_an_empty_split_is_told(tree, extract):
    with pytest.raises(FileNotFoundError, match="holds no sample of Toy test; delete"):
        build_events(toy(Conversion("b.txt", ("train/x/b",))), extract, tree, "test", OPTIONS)
    with pytest.raises(FileNotFoundError, match="holds no sample of Toy; delete"):
        build_events(toy(), extract, tree, "", OPTIONS)


def test_readable_files_are_linked(tree, extract, tmp_path):
    dataset = toy(Conversion("c.npz", ("x/c",), link=True))
    build_events(dataset, extract, tree, "", OPTIONS)
    made = tree.folder / "x/c.npz"
    assert made.is_symlink() and not os.path.isabs(os.readlink(made))
    tmp_path.rename(moved := tmp_path.with_name(f"{tmp_path.name}_moved"))
    assert list(load_events(moved / "events_np/x/c.npz")) == ["t", "x", "y", "p"]
    moved.rename(tmp_path)
    link(extract / "c.npz", made)  # there already


def refuse(*_):
    raise OSError(1, "not permitted")


def test_hard_links_and_copies_stand_in_for_links(extract, tmp_path, monkeypatch):
    monkeypatch.setattr(module.os, "symlink", refuse)
    link(extract / "c.npz", tmp_path / "hard.npz")
    assert (tmp_path / "hard.npz").stat().st_nlink == 2
    monkeypatch.setattr(module.os, "link", refuse)
    link(extract / "c.npz", tmp_path / "copy.npz")
    assert (tmp_path / "copy.npz").stat().st_nlink == 1
    assert (tmp_path / "copy.npz").read_bytes() == (extract / "c.npz").read_bytes()


def test_a_link_to_nothing_is_renewed(extract, tmp_path):
    dead = tmp_path / "dead.npz"
    dead.symlink_to("nowhere")
    link(extract / "c.npz", dead)
    assert dead.exists()
