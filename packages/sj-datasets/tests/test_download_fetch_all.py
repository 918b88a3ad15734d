from __future__ import annotations

import dataclasses
import errno
import hashlib
import os
import shutil
import socket
from pathlib import Path

import pytest

from sj_datasets.download import Attempts, Resource, ResourceSet, fetch, fetch_all, verify
from sj_datasets.errors import DownloadError, ManualDownloadError

DEAD = "http://127.0.0.1:1"
ONCE = Attempts(count=1, sleep=lambda _: None)


def md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def resource(name: str, *urls: str, required: bool = True) -> Resource:
    return Resource(name, md5(name), urls, required)


FILES = (
    resource("x.zip", f"{DEAD}/x.zip"),
    resource("y.zip", f"{DEAD}/y.zip"),
    resource("notes.txt", f"{DEAD}/notes.txt", required=False),
)
TOY = ResourceSet("Toy", "http://page", downloadable=True, files=FILES, note="Mind the gap.")
MANUAL = dataclasses.replace(TOY, downloadable=False)


@pytest.fixture
def mirror(tmp_path, monkeypatch) -> Path:
    """The folder of a mirror that holds Toy; nothing in it yet."""
    (tmp_path / "mirror/Toy").mkdir(parents=True)
    monkeypatch.setenv("SJ_DATASETS_MIRROR", f" {tmp_path / 'mirror'} ,")
    return tmp_path / "mirror/Toy"


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.delenv("SJ_DATASETS_MIRROR", raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


def write(folder: Path, **files: str) -> None:
    for name, content in files.items():
        (folder / name.replace("_", ".")).write_text(content)


def get(toy: ResourceSet, folder: Path, *, direct: bool = False) -> list[str]:
    paths = fetch_all(toy, folder, progress=False, direct=direct, attempts=ONCE)
    assert all(path.is_file() for path in paths)
    return [path.name for path in paths]


def get_one(file: Resource, folder: Path) -> Path:
    return fetch(file, folder, dataset="Toy", progress=False, attempts=ONCE)


def names(folder: Path) -> set[str]:
    return set(os.listdir(folder)) - {".lock", ".checksums.json"}


def test_all_that_is_missing_is_fetched(folder, mirror):
    write(folder, y_zip="y.zip")
    write(mirror, x_zip="x.zip")
    assert get(TOY, folder) == ["x.zip", "y.zip"]  # the notes are not required
    write(mirror, notes_txt="notes.txt")
    assert get(TOY, folder) == ["x.zip", "y.zip", "notes.txt"]
    shutil.rmtree(mirror)
    assert get(TOY, folder) == ["x.zip", "y.zip", "notes.txt"]
    assert names(folder) == {"x.zip", "y.zip", "notes.txt"}


def test_a_complete_folder_need_not_be_writable(folder, monkeypatch):
    write(folder, x_zip="x.zip", y_zip="y.zip", notes_txt="notes.txt")

    def refuse(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", refuse)
        assert len(get(TOY, folder)) == 3
        (folder / "x.zip").unlink()
        with pytest.raises(PermissionError, match="not writable"):
            get(TOY, folder)


def test_a_failed_download_ends_with_advice(folder):
    with pytest.raises(DownloadError) as caught:
        get(TOY, folder)
    for part in (
        f"{DEAD}/x.zip: the connection failed",
        "by hand",
        f"from {DEAD}/y.zip",
        md5("y.zip"),
        str(folder),
        "Mind the gap",
    ):
        assert part in str(caught.value)
    assert "notes.txt" not in str(caught.value)


def test_a_full_disk_ends_the_run(folder, mirror, monkeypatch):
    write(mirror, x_zip="x.zip", y_zip="y.zip")
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(1, 1, 0))
        with pytest.raises(DownloadError, match=r"no room for x\.zip: it needs 5 bytes"):
            get(TOY, folder)
    assert get(TOY, folder) == ["x.zip", "y.zip"]


@pytest.mark.parametrize(("code", "match"), [(errno.ENOSPC, "no room"), (errno.EIO, "rror")])
def test_a_mirror_folder_that_cannot_be_copied(folder, mirror, monkeypatch, code, match):
    write(mirror, x_zip="x.zip")

    def fail(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "copyfile", fail)
        with pytest.raises(DownloadError, match=match):
            get_one(FILES[0], folder)
    assert get_one(FILES[0], folder).read_text() == "x.zip"


def test_files_for_people_only_are_asked_for(folder):
    write(folder, y_zip="damaged")
    with pytest.raises(ManualDownloadError) as caught:
        get(MANUAL, folder)
    assert isinstance(caught.value, NotImplementedError)
    text = str(caught.value)
    for file in FILES:
        assert f"{file.name}\n" in text or f"{file.name} (not required)\n" in text
        assert f"from {file.urls[0]}" in text
        assert f"md5  {file.md5}" in text
    for part in ("http://page", str(folder), "any name", "SJ_DATASETS_MIRROR", md5("damaged")):
        assert part in text
    (folder / "download (3)").write_text("x.zip")
    (folder / "y-again.zip").write_text("y.zip")
    (folder / "kept").write_text("something else")
    assert get(MANUAL, folder) == ["x.zip", "y.zip"]
    assert names(folder) == {"x.zip", "y.zip", "kept"}


def test_direct_addresses_serve_on_request(folder):
    with pytest.raises(DownloadError, match="connection failed"):
        get(MANUAL, folder, direct=True)


def test_a_mirror_serves_what_is_for_people_only(folder, mirror):
    write(mirror, x_zip="x.zip", y_zip="y.zip")
    assert get(MANUAL, folder) == ["x.zip", "y.zip"]


def test_mirrors_come_first_and_are_quoted(folder, mirror, monkeypatch):
    name = "Read Me(1).txt"
    dead = f"{DEAD}/base/Toy/Read%20Me%281%29.txt"
    monkeypatch.setenv("SJ_DATASETS_MIRROR", f"{mirror.parent}, {DEAD}/base/")
    with pytest.raises(DownloadError) as caught:
        get_one(resource(name, f"{DEAD}/published"), folder)
    tried = [line.split(": ")[0].strip() for line in str(caught.value).splitlines()[1:]]
    assert tried == [str(mirror / name), dead, f"{DEAD}/published"]
    (mirror / name).write_text(name)
    assert get_one(resource(name), folder).read_text() == name


@pytest.mark.parametrize("url", [f"{DEAD}/a", "http:///a"])
def test_dead_hosts_and_broken_addresses(folder, url):
    with pytest.raises(DownloadError, match=r"connection failed|not an address"):
        get_one(resource("a", url), folder)


def test_a_silent_host_is_not_waited_for(folder):
    patience = Attempts(count=1, read_timeout=0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        file = resource("a", f"http://127.0.0.1:{silent.getsockname()[1]}/")
        with pytest.raises(DownloadError, match=r"nothing arrived for 0\.2 s"):
            fetch(file, folder, dataset="Toy", progress=False, attempts=patience)


def test_without_any_address_the_error_says_so(folder):
    with pytest.raises(DownloadError, match="SJ_DATASETS_MIRROR"):
        get_one(resource("a"), folder)


def test_folders_must_exist(tmp_path):
    with pytest.raises(FileNotFoundError, match="create it first"):
        get(TOY, tmp_path / "no")
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError):
        get_one(FILES[0], tmp_path / "file")
    with pytest.raises(FileNotFoundError):
        get_one(FILES[0], tmp_path / "file/below")


def test_verify_tells_every_state(folder):
    toy = dataclasses.replace(TOY, files=(*FILES, Resource("w.zip", None, ())))
    write(folder, x_zip="x.zip", y_zip="wrong", w_zip="any")
    states = {"x.zip": "ok", "y.zip": "corrupt", "notes.txt": "missing", "w.zip": "unchecked"}
    assert verify(toy, folder) == states
    assert get_one(toy.files[3], folder) == folder / "w.zip"


def test_verify_reads_again_on_request(folder):
    write(folder, x_zip="x.zip")
    os.utime(folder / "x.zip", (1, 1))
    assert verify(TOY, folder)["x.zip"] == "ok"
    write(folder, x_zip="X.zip")
    os.utime(folder / "x.zip", (1, 1))  # as if the disk had lost a bit
    assert verify(TOY, folder)["x.zip"] == "ok"
    assert verify(TOY, folder, reread=True)["x.zip"] == "corrupt"
