from __future__ import annotations

import pytest
from PIL import Image

from sj_train.data import ImageFolder
from sj_train.dataset_cache import cache_file, cached_image_folder
from sj_train.errors import DataNotFoundError


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


def size(image):
    return image.size


def test_the_folder_is_walked_once(image_root):
    root = image_root / "train"
    walked = ImageFolder(root, size)
    for _ in range(2):
        folder = cached_image_folder(root, size)
        assert (folder.classes, folder.samples) == (walked.classes, walked.samples)
        assert folder[0] == ((12, 10), 0)
    Image.new("RGB", (4, 4)).save(root / "red" / "new.png")
    assert len(cached_image_folder(root, size)) == 12
    cache_file(root).unlink()
    assert len(cached_image_folder(root, size)) == 13


def test_damaged_and_foreign_lists_are_written_again(image_root):
    root = image_root / "train"
    for text in ("{", "[]", '{"root": "elsewhere", "classes": [], "samples": []}'):
        cache_file(root).parent.mkdir(parents=True, exist_ok=True)
        cache_file(root).write_text(text)
        assert len(cached_image_folder(root, size)) == 12
    assert str(root.resolve()) in cache_file(root).read_text()


def test_a_cache_that_cannot_be_written_is_no_error(image_root, cache, caplog):
    cache.write_text("a file")
    assert len(cached_image_folder(image_root / "val", size)) == 6
    assert "is not kept" in caplog.text


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(DataNotFoundError, match="nowhere does not exist"):
        cached_image_folder(tmp_path / "nowhere", size)
