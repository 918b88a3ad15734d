"""Bullying10K: label numbers by a table, every fifth file in the test."""

from __future__ import annotations

import pytest

from sj_datasets.bullying10k import BULLYING10K_CATEGORY_LABEL, Bullying10kClassification
from sj_datasets.errors import FormatError


def outputs(folder):
    found = Bullying10kClassification.conversions(folder)
    return [output for conversion in found for output in conversion.outputs]


def test_folders_are_label_numbers(open_fake):
    for train, count in ((True, 80), (False, 20)):
        dataset = open_fake("Bullying10kClassification", train=train)
        assert dataset.classes == [str(label) for label in range(10)]
        assert len(dataset) == count
        for path, label in dataset.samples:
            assert BULLYING10K_CATEGORY_LABEL[path.name.split("_")[0]] == label


def test_every_fifth_file_is_for_the_test_counted_through_all_actions(tmp_path):
    for action, count in (("walking", 3), ("handshake", 7)):
        (tmp_path / action).mkdir()
        for i in range(count):
            (tmp_path / action / f"{i}.npy").touch()
    found = outputs(tmp_path)
    assert [o for o in found if o.startswith("test/")] == ["test/0/0", "test/0/5"]
    assert found[7:] == ["train/3/0", "train/3/1", "train/3/2"]


def test_equal_names_in_two_folders_stay_two_samples(tmp_path):
    for folder in ("a", "b"):
        (tmp_path / "kicking" / folder).mkdir(parents=True)
        for name in ("1.npy", "2.npy"):
            (tmp_path / "kicking" / folder / name).touch()
    assert outputs(tmp_path) == ["test/9/1", "train/9/2", "train/9/1", "train/9/b_2"]


def test_an_unknown_action_is_named(tmp_path):
    (tmp_path / "dancing").mkdir()
    (tmp_path / "dancing" / "1.npy").touch()
    with pytest.raises(FormatError, match="'dancing'"):
        outputs(tmp_path)


def test_facts_of_the_publisher():
    assert Bullying10kClassification.get_H_W() == (260, 346)
    assert Bullying10kClassification.downloadable()
    names = {name for name, _, _ in Bullying10kClassification.resource_url_md5()}
    assert {f"{action}.zip" for action in BULLYING10K_CATEGORY_LABEL} <= names
