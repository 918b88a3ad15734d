from __future__ import annotations

import hashlib
import os

from sj_datasets.download import Resource, ResourceSet, adopt, instructions


def resource(name: str, content: str) -> Resource:
    digest = hashlib.md5(content.encode(), usedforsecurity=False).hexdigest()
    return Resource(name, digest, ())


def test_files_are_recognised_by_content(tmp_path):
    files = [resource("a.zip", "A"), resource("b.zip", "B"), Resource("c.zip", None, ())]
    for name, content in {
        "00 other": "other",
        "01 A": "A",
        "02 A again": "A",
        "03 more": "more",
        ".hidden": "B",
        "b.zip.part": "B",
    }.items():
        (tmp_path / name).write_text(content)
    (tmp_path / "folder").mkdir()
    assert adopt(files, tmp_path) == {"a.zip": tmp_path / "a.zip"}
    assert (tmp_path / "a.zip").read_text() == "A"
    assert not (tmp_path / "01 A").exists()
    assert (tmp_path / "02 A again").exists()


def test_a_file_under_its_own_name_stays(tmp_path):
    for name in ("a.zip", "b.zip"):
        (tmp_path / name).write_text("A")
    assert adopt([resource("a.zip", "A")], tmp_path) == {"a.zip": tmp_path / "a.zip"}


def test_known_files_are_not_read_again(tmp_path, monkeypatch):
    (tmp_path / "large").write_text("large")
    os.utime(tmp_path / "large", (1, 1))
    assert adopt([resource("a.zip", "A")], tmp_path) == {}

    def refuse(_: object) -> str:
        raise AssertionError

    monkeypatch.setattr("sj_datasets.download.checksum.file_md5", refuse)
    assert adopt([resource("a.zip", "A")], tmp_path) == {}


def test_instructions_without_checksum_ask_for_the_name(tmp_path):
    file = Resource("c.zip", None, ("http://one", "http://two"))
    toy = ResourceSet("Toy", "http://page", downloadable=False, files=(file,))
    text = instructions(toy.files, toy, tmp_path)
    for part in ("c.zip", "from http://one", "from http://two", "from http://page", "keep this"):
        assert part in text
    assert f"Put them into {tmp_path}" in text and "by md5, where it is known" in text
    assert "Toy/<file>" in text


def test_instructions_without_a_page_name_the_addresses_alone(tmp_path):
    file = Resource("c.zip", None, ("http://one",))
    text = instructions([file], ResourceSet("Toy", "", downloadable=False, files=(file,)), tmp_path)
    assert text.count("    from ") == 1
