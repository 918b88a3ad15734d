"""ASL-DVS: letters in archives within an archive."""

from __future__ import annotations

from sj_datasets.asl_dvs import ASLDVS


def test_classes_are_the_letters_without_j_and_z(open_fake):
    dataset = open_fake("ASLDVS")
    assert dataset.classes == list("abcdefghiklmnopqrstuvwxy")
    assert len(dataset) == 48


def test_facts_of_the_publisher():
    assert ASLDVS.get_H_W() == (180, 240)
    assert not ASLDVS.downloadable()
    assert [md5 for _, _, md5 in ASLDVS.resource_url_md5()] == [None]


def test_inner_archives_leave_nothing_behind(open_fake, fake_tree):
    open_fake("ASLDVS")
    extract = fake_tree("ASLDVS") / "extract"
    if extract.exists():
        assert not [path for path in extract.rglob("*") if path.suffix == ".zip"]
