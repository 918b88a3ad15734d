from __future__ import annotations

import os
import zipfile

import pytest

from sj_datasets.download import Resource, ResourceSet, extract
from sj_datasets.errors import ManualDownloadError
from sj_datasets.obtain import build_aside, extracted_files


class Toy:
    files = (Resource("toy.zip", None, ("https://example.invalid/toy.zip",)),)

    @classmethod
    def resource_set(cls):
        return ResourceSet("Toy", "https://example.invalid", False, cls.files)

    @classmethod
    def extract_downloaded_files(cls, download_root, extract_root):
        extract(download_root / "toy.zip", extract_root)


def place(root):
    (root / "download").mkdir(exist_ok=True)
    with zipfile.ZipFile(root / "download" / "toy.zip", "w") as archive:
        archive.writestr("a/b.txt", "text")


def test_archives_are_extracted_once(tmp_path):
    place(tmp_path)
    folder = extracted_files(Toy, tmp_path, is_fake=False, progress=False)
    assert (folder / "a/b.txt").read_text() == "text"
    (tmp_path / "download" / "toy.zip").unlink()
    assert extracted_files(Toy, tmp_path, is_fake=False) == folder
    assert not [name for name in os.listdir(tmp_path) if "partial" in name]


def test_missing_files_are_asked_for(tmp_path):
    with pytest.raises(ManualDownloadError, match=r"toy\.zip"):
        extracted_files(Toy, tmp_path, is_fake=False, progress=False)
    assert not (tmp_path / "extract").exists()
    place(tmp_path)
    assert extracted_files(Toy, tmp_path, is_fake=False, progress=False).is_dir()


def test_nothing_published_needs_no_download(tmp_path):
    class Nothing(Toy):
        files = ()

        @classmethod
        def extract_downloaded_files(cls, download_root, extract_root):
            assert download_root.is_dir()

    assert os.listdir(extracted_files(Nothing, tmp_path, is_fake=False)) == []


def test_an_extraction_that_fails_leaves_nothing(tmp_path):
    place(tmp_path)

    class Failing(Toy):
        @classmethod
        def extract_downloaded_files(cls, download_root, extract_root):
            super().extract_downloaded_files(download_root, extract_root)
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        extracted_files(Failing, tmp_path, is_fake=True)
    assert sorted(os.listdir(tmp_path)) == ["download"]
    extracted_files(Toy, tmp_path, is_fake=True)


def test_leftovers_of_a_killed_process_are_replaced(tmp_path):
    left = tmp_path / ".tree.partial" / "tree"
    left.mkdir(parents=True)
    (left / "old").touch()
    target = tmp_path / "tree"
    target.mkdir()
    build_aside(target, lambda folder: (folder / "new").touch())
    assert os.listdir(target) == ["new"] and os.listdir(tmp_path) == ["tree"]


def test_a_tree_that_is_not_empty_stays(tmp_path):
    target = tmp_path / "tree"
    target.mkdir()
    (target / "mine").touch()
    with pytest.raises(OSError, match="not empty"):
        build_aside(target, lambda folder: None)
    assert os.listdir(target) == ["mine"]


def test_a_synthetic_copy_that_was_deleted_is_told(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"delete .* and start again"):
        extracted_files(Toy, tmp_path, is_fake=True)
    assert not (tmp_path / "extract").exists()
