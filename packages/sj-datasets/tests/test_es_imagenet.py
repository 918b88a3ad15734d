"""ES-ImageNet: class folders for training, a list for the test."""

from __future__ import annotations

import numpy as np
import pytest

from sj_datasets.errors import FormatError
from sj_datasets.es_imagenet import ESImageNet


def tree(folder, rows):
    for name in ("train/class3", "val"):
        (folder / "ES-imagenet-0.18" / name).mkdir(parents=True)
    (folder / "ES-imagenet-0.18/train/class3/n1_1.npz").touch()
    (folder / "ES-imagenet-0.18/val/v1.npz").touch()
    (folder / "ES-imagenet-0.18/vallabel.txt").write_text(rows)


def test_labels_follow_the_class_folders_as_text(open_fake):
    for train in (True, False):
        dataset = open_fake("ESImageNet", train=train)
        assert dataset.classes == ["class0", "class1", "class10", "class2"]
        assert dataset.targets == [0, 0, 1, 1, 2, 2, 3, 3]


def test_published_files_are_read_sorted_by_time(open_fake):
    dataset = open_fake("ESImageNet")
    events, _ = dataset[0]
    with np.load(dataset.samples[0][0]) as raw:
        count = len(raw["pos"]) + len(raw["neg"])
    assert len(events["t"]) == count and (np.diff(events["t"]) >= 0).all()
    assert set(np.unique(events["p"])) <= {0, 1} and (events["t"][0], events["t"][-1]) == (1, 8)


def test_list_gives_the_test_files_their_class(tmp_path):
    tree(tmp_path, "v1.npz 3 190 254\n\n")
    train, test = ESImageNet.conversions(tmp_path)
    assert train.outputs == ("train/class3/n1_1",) and train.link
    assert test.outputs == ("test/class3/v1",) and test.link


@pytest.mark.parametrize("row", ["v1.npz", "v1.npz x", "../v1.npz 3"])
def test_a_row_that_makes_no_sense_is_numbered(tmp_path, row):
    tree(tmp_path, f"v1.npz 3\n{row}\n")
    with pytest.raises(FormatError, match=r"vallabel\.txt: line 2"):
        list(ESImageNet.conversions(tmp_path))


def test_parts_are_extracted_from_the_first(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr("sj_datasets.es_imagenet.extract", lambda a, f: seen.append(a.name))
    ESImageNet.extract_downloaded_files(tmp_path, tmp_path / "extract")
    (tmp_path / "ES-imagenet-0.18.zip").touch()
    ESImageNet.extract_downloaded_files(tmp_path, tmp_path / "extract")
    assert seen == ["ES-imagenet-0.18.part01.rar", "ES-imagenet-0.18.zip"]


def test_facts_of_the_publisher():
    assert ESImageNet.get_H_W() == (256, 256)
    assert ESImageNet.downloadable()
    assert len(ESImageNet.resource_url_md5()) == 25
