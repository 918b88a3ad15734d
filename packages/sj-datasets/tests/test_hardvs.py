"""HARDVS: three splits by published lists."""

from __future__ import annotations

import pytest

from sj_datasets.errors import FormatError
from sj_datasets.hardvs import HARDVS

SPLITS = ("train", "val", "test")


def lists(folder, **rows):
    for split in SPLITS:
        (folder / f"{split}_label.txt").write_text(rows.get(split, "action_001/a 0 1\n"))
    (folder / "action_001").mkdir()
    (folder / "action_001" / "a.npz").touch()


def test_lists_decide_the_split(open_fake):
    names = {}
    for split in SPLITS:
        dataset = open_fake("HARDVS", train_test_val=split)
        assert dataset.classes == [f"action_{i:03d}" for i in range(1, 5)]
        assert dataset.targets == [0, 0, 1, 1, 2, 2, 3, 3]
        names[split] = {path.name for path, _ in dataset.samples}
    assert not names["train"] & names["test"] and not names["train"] & names["val"]


@pytest.mark.parametrize("split", [None, "training", True])
def test_a_split_must_be_chosen_before_anything_else(tmp_path, split):
    with pytest.raises(ValueError, match=r"'train', 'val', 'test'.*got"):
        HARDVS(tmp_path / "absent", split)
    assert not (tmp_path / "absent").exists()


def test_first_column_names_the_sample(tmp_path):
    lists(tmp_path, train="action_001/a 3 0 7\n\n")
    (conversion, *_) = HARDVS.conversions(tmp_path)
    assert conversion.outputs == ("train/action_001/a",) and conversion.link
    assert conversion.source == tmp_path / "action_001" / "a.npz"


def test_files_that_are_listed_and_absent_are_reported(tmp_path):
    lists(tmp_path, val="action_001/a\naction_001/b\n")
    with pytest.warns(UserWarning, match=r"val_label.txt lists 2 files, 1 .*b\.npz"):
        assert len(list(HARDVS.conversions(tmp_path))) == 3
    (tmp_path / "action_001" / "a.npz").unlink()
    with pytest.raises(FileNotFoundError, match=r"train_label\.txt: none"):
        list(HARDVS.conversions(tmp_path))


@pytest.mark.parametrize("row", ["a\n", "../a 1\n", "x/y/z\n"])
def test_a_row_that_names_no_sample_is_shown(tmp_path, row):
    lists(tmp_path, train=row)
    with pytest.raises(FormatError, match=r"train_label\.txt: expected class/sample"):
        list(HARDVS.conversions(tmp_path))


def test_facts_of_the_publisher():
    assert HARDVS.get_H_W() == (260, 346)
    assert not HARDVS.downloadable()
    names = {name for name, _, _ in HARDVS.resource_url_md5()}
    assert names == {"MINI_HARDVS_files.zip", *(f"{split}_label.txt" for split in SPLITS)}
