"""N-Caltech101: classes are the folders of the archive."""

from __future__ import annotations

from sj_datasets.n_caltech101 import NCALTECH101_CLASSES, NCaltech101


def test_labels_follow_the_names_of_the_folders(open_fake):
    dataset = open_fake("NCaltech101")
    assert tuple(dataset.classes) == NCALTECH101_CLASSES == tuple(sorted(NCALTECH101_CLASSES))
    assert len(NCALTECH101_CLASSES) == 101
    assert dataset.targets == [label for label in range(101) for _ in range(2)]


def test_facts_of_the_publisher():
    assert NCaltech101.get_H_W() == (180, 240)
    assert not NCaltech101.downloadable()
    files = {name: md5 for name, _, md5 in NCaltech101.resource_url_md5()}
    assert files["Caltech101.zip"] == "66201824eabb0239c7ab992480b50ba3"


def test_recordings_keep_the_names_of_their_files(open_fake, fake_tree):
    names = sorted(p.stem for p in (fake_tree("NCaltech101") / "events_np" / "lotus").iterdir())
    assert names == ["image_0001", "image_0002"]
