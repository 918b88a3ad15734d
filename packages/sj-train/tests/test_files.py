from __future__ import annotations

import os

import pytest

from sj_train.errors import OutputError
from sj_train.files import link_or_copy, write_atomic


def test_content_appears_whole_or_not_at_all(tmp_path):
    path = tmp_path / "some.bin"
    write_atomic(path, lambda file: file.write(b"first"))

    def fail(file):
        file.write(b"second")
        raise OSError(28, "No space left on device")

    with pytest.raises(OutputError, match=r"cannot write .*some\.bin: No space left"):
        write_atomic(path, fail)
    assert path.read_bytes() == b"first"
    assert os.listdir(tmp_path) == ["some.bin"]


def test_a_second_name_survives_the_first_being_replaced(tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    for content in (b"old", b"new"):
        write_atomic(one, lambda file, content=content: file.write(content))
        assert two.exists() == (content == b"new")
        if two.exists():
            assert two.read_bytes() == b"old"
        link_or_copy(one, two)
        link_or_copy(one, two)
    assert two.read_bytes() == b"new"
    assert sorted(os.listdir(tmp_path)) == ["one", "two"]


def test_content_is_copied_where_links_fail(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(os, "link", refuse)
    (tmp_path / "one").write_bytes(b"x")
    link_or_copy(tmp_path / "one", tmp_path / "two")
    assert (tmp_path / "two").read_bytes() == b"x"


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(OutputError, match=r"nowhere.*No such file"):
        write_atomic(tmp_path / "nowhere" / "a", lambda file: file.write(b""))
