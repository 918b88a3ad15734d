"""NavGesture: the class is the second field of a file's name."""

from __future__ import annotations

import pytest

from sj_datasets.errors import FormatError
from sj_datasets.nav_gesture import NAVGestureSit, NAVGestureWalk


@pytest.mark.parametrize("name", ["NAVGestureWalk", "NAVGestureSit"])
def test_classes_come_from_the_names_of_the_files(open_fake, name):
    dataset = open_fake(name)
    assert dataset.classes == ["do", "ho", "le", "ri", "se", "up"]
    for path, label in dataset.samples:
        assert str(path).split("_")[-3] == dataset.classes[label]


def test_facts_of_the_publisher():
    assert NAVGestureWalk.get_H_W() == NAVGestureSit.get_H_W() == (240, 304)
    assert [r[0] for r in NAVGestureWalk.resource_url_md5()] == ["navgesture-walk.zip"]
    assert [r[0] for r in NAVGestureSit.resource_url_md5()] == ["navgesture-sit.zip"]
    assert not NAVGestureSit.downloadable()


@pytest.mark.parametrize("name", ["user01_xx_01_td.dat", "unnamed.dat"])
def test_a_file_of_no_class_is_named(tmp_path, name):
    (tmp_path / "user01").mkdir()
    (tmp_path / "user01" / name).touch()
    with pytest.raises(FormatError, match=f"{name}.*second field.*do, ho, le"):
        list(NAVGestureWalk.conversions(tmp_path))
