from __future__ import annotations

import hashlib
import json
import os

import pytest

from sj_datasets.download import file_md5
from sj_datasets.download.checksum import ChecksumCache


def digest(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


@pytest.fixture
def counted(monkeypatch) -> list[str]:
    """Names of the files that were read."""
    read: list[str] = []

    def count(path: os.PathLike[str]) -> str:
        read.append(os.path.basename(path))
        return file_md5(path)

    monkeypatch.setattr("sj_datasets.download.checksum.file_md5", count)
    return read


@pytest.mark.parametrize("size", [0, 1, 3_000_000])
def test_md5_of_a_file(tmp_path, size):
    (tmp_path / "a").write_bytes(bytes(size))
    assert file_md5(tmp_path / "a") == digest(bytes(size))


def test_settled_files_are_read_once(tmp_path, counted):
    (tmp_path / "a").write_bytes(b"1")
    os.utime(tmp_path / "a", (1, 1))
    for _ in range(3):
        assert ChecksumCache(tmp_path).md5("a") == digest(b"1")
    assert counted == ["a"]
    assert ChecksumCache(tmp_path).md5("a", reread=True) == digest(b"1")
    assert counted == ["a", "a"]
    (tmp_path / "a").write_bytes(b"2")
    assert ChecksumCache(tmp_path).md5("a") == digest(b"2")


def test_files_just_written_are_not_trusted_to_stay(tmp_path, counted):
    for content in (b"1", b"2", b"3"):  # within one tick of the clock
        (tmp_path / "a").write_bytes(content)
        assert ChecksumCache(tmp_path).md5("a") == digest(content)
    assert counted == ["a"] * 3


@pytest.mark.parametrize("text", ["", "[]", '{"a": 1}', '{"a": ["x", 1, 2]}', "\x00"])
def test_damaged_notes_are_ignored_and_replaced(tmp_path, text):
    (tmp_path / "a").write_bytes(b"1")
    os.utime(tmp_path / "a", (1, 1))
    (tmp_path / ".checksums.json").write_text(text)
    assert ChecksumCache(tmp_path).md5("a") == digest(b"1")
    assert json.loads((tmp_path / ".checksums.json").read_text())["a"][2] == digest(b"1")


def test_a_folder_that_cannot_be_written_remembers_nothing(tmp_path, counted, monkeypatch):
    (tmp_path / "a").write_bytes(b"1")
    os.utime(tmp_path / "a", (1, 1))

    def refuse(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    for _ in range(2):
        assert ChecksumCache(tmp_path).md5("a") == digest(b"1")
    assert counted == ["a", "a"]


def test_a_file_that_changes_while_it_is_read_is_not_remembered(tmp_path, monkeypatch):
    (tmp_path / "a").write_bytes(b"1")
    os.utime(tmp_path / "a", (1, 1))

    def change(path: os.PathLike[str]) -> str:
        os.utime(path, (2, 2))
        return digest(b"1")

    monkeypatch.setattr("sj_datasets.download.checksum.file_md5", change)
    assert ChecksumCache(tmp_path).md5("a") == digest(b"1")
    assert not (tmp_path / ".checksums.json").exists()


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nothing"):
        ChecksumCache(tmp_path).md5("nothing")
