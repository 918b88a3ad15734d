from __future__ import annotations

import errno
import io
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sj_datasets.download import _unpacking, extract, extract_all, is_archive
from sj_datasets.errors import FormatError

FILES = {"a.txt": b"A" * 3000, "deep/er/b.bin": bytes(range(256)) * 40, "empty": b""}


def make_zip(path: Path, files: dict[str, bytes] = FILES) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.mkdir("deep")
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    return path


def tar_member(name: str, content: bytes = b"", kind: bytes = tarfile.REGTYPE, to: str = ""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, to, len(content)
    return info, io.BytesIO(content)


def make_tar(path: Path, files: dict[str, bytes] = FILES, extra=()) -> Path:
    mode = {"tar": "w", "tgz": "w:gz"}.get(path.suffix[1:], f"w:{path.suffix[1:]}")
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        archive.addfile(*tar_member("deep", kind=tarfile.DIRTYPE))
        for name, content in files.items():
            archive.addfile(*tar_member(name, content))
        for member in extra:
            archive.addfile(*member)
    return path


def read_tree(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def visible(folder: Path) -> set[str]:
    return {name for name in os.listdir(folder) if not name.startswith(".") or "extract" in name}


KINDS: dict[str, Callable[[Path], Path]] = {
    "a.zip": make_zip,
    "a.tar": make_tar,
    "a.tar.gz": make_tar,
    "a.tgz": make_tar,
    "a.tar.bz2": make_tar,
    "a.tar.xz": make_tar,
}


@pytest.mark.parametrize("name", KINDS)
def test_archives_are_unpacked(tmp_path, name):
    archive = KINDS[name](tmp_path / name)
    assert is_archive(archive)
    assert extract(archive, tmp_path / "out") == tmp_path / "out"
    assert read_tree(tmp_path / "out") == FILES
    assert visible(tmp_path) == {name, "out"}


def test_several_archives_fill_one_folder(tmp_path):
    first = make_zip(tmp_path / "1.zip", {"a/1": b"1", "same": b"old"})
    second = make_tar(tmp_path / "2.tar", {"a/2": b"2", "same": b"new"})
    (tmp_path / "out/a").mkdir(parents=True)
    (tmp_path / "out/a/0").write_bytes(b"0")
    (tmp_path / "out/same").write_bytes(b"older")
    extract_all([first, second], tmp_path / "out")
    assert read_tree(tmp_path / "out") == {"a/0": b"0", "a/1": b"1", "a/2": b"2", "same": b"new"}


def test_a_target_may_be_all_that_is_writable(tmp_path, monkeypatch):
    archive = make_zip(tmp_path / "a.zip")
    (tmp_path / "out").mkdir()
    monkeypatch.setattr(os, "access", lambda *_: False)
    extract(archive, tmp_path / "out")
    assert set(os.listdir(tmp_path)) == {"a.zip", "out"}
    assert visible(tmp_path / "out") == {"a.txt", "deep", "empty"}


def test_of_a_member_that_comes_twice_the_later_counts(tmp_path):
    extra = [tar_member("link", kind=tarfile.LNKTYPE, to="a"), tar_member("a", b"later")]
    extract(make_tar(tmp_path / "a.tar", {"a": b"A"}, extra), tmp_path / "out")
    assert read_tree(tmp_path / "out") == {"a": b"later", "link": b"later"}


@pytest.mark.parametrize("there", ["a", "a/b"])
def test_a_file_in_the_way_of_a_folder_is_left(tmp_path, there):
    archive = make_zip(tmp_path / "a.zip", {"a/b": b"", "a/c": b""} if there == "a" else {"a": b""})
    (tmp_path / "out" / there).parent.mkdir(parents=True)
    (tmp_path / "out" / there).write_bytes(b"mine")
    with pytest.raises(FileExistsError, match="in the way"):
        extract(archive, tmp_path / "out")
    assert (tmp_path / "out" / there).read_bytes() == b"mine"


def test_no_archive_is_no_archive(tmp_path):
    for name, content in {
        "page.zip": b"<html>gone</html>",
        "page.tar.gz": b"\n<!DOCTYPE html>",
        "labels.csv": b"1,2",
        "empty.zip": b"",
        "images.gz": b"\x1f\x8b",
    }.items():
        (tmp_path / name).write_bytes(content)
        assert not is_archive(tmp_path / name)
        with pytest.raises(FormatError, match="web page"):
            extract(tmp_path / name, tmp_path / "out")
    assert not is_archive(tmp_path)
    assert not (tmp_path / "out").exists()


def test_folders_and_files_must_exist(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such file"):
        extract(tmp_path / "a.zip", tmp_path / "out")
    archive = make_zip(tmp_path / "a.zip")
    with pytest.raises(FileNotFoundError, match="create it first"):
        extract(archive, tmp_path / "no/out")


@pytest.mark.parametrize("link", ["hard", "soft", "zip"])
def test_links_become_files(tmp_path, link):
    if link == "zip":
        archive = make_zip(tmp_path / "a.zip", {"x/a": b"A"})
        info = zipfile.ZipInfo("x/link")
        info.external_attr = 0o120777 << 16
        with zipfile.ZipFile(archive, "a") as opened:
            opened.writestr(info, "../x/a")
    elif link == "hard":
        extra = [tar_member("x/link", kind=tarfile.LNKTYPE, to="x/a")]
        archive = make_tar(tmp_path / "a.tar", {"x/a": b"A"}, extra)
    else:  # a link to a link that comes later
        extra = [
            tar_member("x/link", kind=tarfile.SYMTYPE, to="../later"),
            tar_member("later", kind=tarfile.SYMTYPE, to="x/a"),
        ]
        archive = make_tar(tmp_path / "a.tar", {"x/a": b"A"}, extra)
    extract(archive, tmp_path / "out")
    assert (tmp_path / "out/x/link").read_bytes() == b"A"
    assert not (tmp_path / "out/x/link").is_symlink()


def test_file_systems_without_hard_links_get_copies(tmp_path, monkeypatch):
    def refuse(*_: object) -> None:
        raise OSError(errno.EPERM, "no links here")

    monkeypatch.setattr(os, "link", refuse)
    extra = [tar_member("link", kind=tarfile.LNKTYPE, to="a")]
    extract(make_tar(tmp_path / "a.tar", {"a": b"A"}, extra), tmp_path / "out")
    assert (tmp_path / "out/link").read_bytes() == b"A"


@pytest.mark.parametrize(
    ("member", "match"),
    [
        (tar_member("link", kind=tarfile.SYMTYPE, to="../../etc/passwd"), "outside"),
        (tar_member("link", kind=tarfile.SYMTYPE, to="/etc/passwd"), "outside"),
        (tar_member("link", kind=tarfile.LNKTYPE, to="nothing"), "names no file"),
        (tar_member("link", kind=tarfile.SYMTYPE, to="link"), "names no file"),
        (tar_member("link", kind=tarfile.SYMTYPE, to="x" * 5000), "damaged"),
        (tar_member("pipe", kind=tarfile.FIFOTYPE), "device or a pipe"),
        (tar_member("../x", b"1"), "outside"),
        (tar_member("a\\..\\..\\x", b"1"), "outside"),
        (tar_member("C:/x", b"1"), "outside"),
        (tar_member("a.txt/x", b"1"), "cannot be made"),
        (tar_member("x" * 300, b"1"), "cannot be made"),
        (tar_member("a.txt", kind=tarfile.DIRTYPE), "cannot be made"),
    ],
)
def test_hostile_members_are_refused(tmp_path, member, match):
    archive = make_tar(tmp_path / "a.tar", extra=[member])
    with pytest.raises(FormatError, match=match):
        extract(archive, tmp_path / "out")
    assert visible(tmp_path) == {"a.tar"}


pieces = st.lists(
    st.sampled_from(["..", ".", "", "/", "\\", "C:", "a", "b", "\x00", "é", "\udc80", "x" * 300]),
    min_size=1,
    max_size=5,
)


@settings(deadline=None, max_examples=60)
@given(
    members=st.lists(st.tuples(pieces, pieces, st.sampled_from("fdsh")), min_size=1, max_size=4),
    separator=st.sampled_from(["/", "\\", ""]),
    as_zip=st.booleans(),
)
@example(members=[(["a"], [".."], "s"), (["a", "b"], ["a"], "f")], separator="/", as_zip=False)
def test_nothing_is_ever_written_outside(tmp_path_factory, members, separator, as_zip):
    root = tmp_path_factory.mktemp("root")
    (root / "in").mkdir()
    archive = root / "archive"
    if as_zip:
        names = [separator.join(parts).replace("\udc80", "") for parts, _, _ in members]
        with zipfile.ZipFile(archive, "w") as opened:
            for name in dict.fromkeys(names):
                opened.writestr(zipfile.ZipInfo(name or "x"), b"1")
    else:
        kinds = {"f": tarfile.REGTYPE, "d": tarfile.DIRTYPE, "s": tarfile.SYMTYPE}
        with tarfile.open(archive, "w") as opened:
            for parts, to, kind in members:
                data = b"1" if kind == "f" else b""
                link = separator.join(to)
                member = tar_member(
                    separator.join(parts), data, kinds.get(kind, tarfile.LNKTYPE), link
                )
                opened.addfile(*member)
    before = read_tree(root)
    try:
        extract(archive, root / "in/out")
    except FormatError:
        assert not (root / "in/out").exists()
    inside = {name for name in read_tree(root) if name.startswith("in/")}
    assert read_tree(root).keys() - inside == before.keys()
    assert {name.split("/")[1] for name in inside} <= {"out", ".out.lock"}
    assert not any(path.is_symlink() for path in root.rglob("*"))
    shutil.rmtree(root)


@pytest.mark.parametrize("name", KINDS)
def test_what_is_cut_off_is_noticed(tmp_path, name):
    whole = KINDS[name](tmp_path / name).read_bytes()
    for size in {*range(1, len(whole), max(1, len(whole) // 40)), len(whole) - 1}:
        (tmp_path / name).write_bytes(whole[:size])
        try:
            extract(tmp_path / name, tmp_path / "out")
        except FormatError as error:
            assert name in str(error)
            assert visible(tmp_path) == {name}
        else:  # only padding was missing
            assert read_tree(tmp_path / "out") == FILES
            shutil.rmtree(tmp_path / "out")


@settings(deadline=None, max_examples=100)
@given(
    name=st.sampled_from(["a.zip", "a.tar", "a.tar.gz"]),
    changes=st.lists(st.tuples(st.integers(0, 2**20), st.integers(0, 255)), max_size=4),
)
def test_damaged_archives_never_crash(tmp_path_factory, name, changes):
    root = tmp_path_factory.mktemp("root")
    content = bytearray(KINDS[name](root / name).read_bytes())
    for position, value in changes:
        content[position % len(content)] = value
    (root / name).write_bytes(content)
    try:
        extract(root / name, root / "out")
    except FormatError:
        assert not (root / "out").exists()
    shutil.rmtree(root)


def test_a_damaged_local_header_or_link_of_a_zip(tmp_path):
    info = zipfile.ZipInfo("link")
    info.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(info, b"target")
    whole = (tmp_path / "a.zip").read_bytes()
    for old, new in ((b"target", b"\xfftarge"), (b"PK\x03\x04", b"PK\x03\x05")):
        (tmp_path / "a.zip").write_bytes(b"PK\x03\x04" + whole.replace(old, new, 1))
        with pytest.raises(FormatError, match="link is damaged"):
            extract(tmp_path / "a.zip", tmp_path / "out")


def test_sizes_below_zero_end_in_an_error(tmp_path):
    archive = make_tar(tmp_path / "a.tar", {"a": b"A" * 600})
    content = bytearray(archive.read_bytes())
    header = content[512:1024]
    header[124:136] = b"\xff" * 11 + b"\x00"  # -256 in base 256
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\x00 " % sum(header)
    content[512:1024] = header
    archive.write_bytes(content)
    with pytest.raises(FormatError, match="negative size"):
        extract(archive, tmp_path / "out")


def test_names_that_the_system_cannot_write(tmp_path, monkeypatch):
    def refuse(name: str) -> bytes:
        raise UnicodeEncodeError("ascii", name, 0, 1, "ordinal not in range")

    archive = make_zip(tmp_path / "a.zip")
    monkeypatch.setattr(_unpacking.os, "fsencode", refuse)
    with pytest.raises(FormatError, match="this system has no name for"):
        extract(archive, tmp_path / "out")


def test_encrypted_zips_are_told_apart(tmp_path):
    content = bytearray(make_zip(tmp_path / "a.zip").read_bytes())
    content[content.index(b"PK\x01\x02") + 8] |= 1
    (tmp_path / "a.zip").write_bytes(content)
    with pytest.raises(FormatError, match="encrypted"):
        extract(tmp_path / "a.zip", tmp_path / "out")


@pytest.mark.parametrize("make", [make_zip, make_tar])
def test_bombs_and_too_small_disks(tmp_path, monkeypatch, make):
    suffix = "zip" if make is make_zip else "tar.gz"
    archive = make(tmp_path / f"a.{suffix}", {"zeros": bytes(3_000_000)})
    with monkeypatch.context() as patch:
        patch.setattr(_unpacking, "SMALL", 1_000_000)
        with pytest.raises(FormatError, match="bomb"):
            extract(archive, tmp_path / "out")
        patch.setattr(_unpacking, "SMALL", 1 << 30)
        patch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(9, 9, 1000))
        with pytest.raises(OSError, match="only 1000 bytes are free") as caught:
            extract(archive, tmp_path / "out")
        assert caught.value.errno == errno.ENOSPC
    with monkeypatch.context() as patch:
        patch.setattr(_unpacking, "MOST_MEMBERS", 1)
        with pytest.raises(FormatError, match="more than 1 members"):
            extract(archive, tmp_path / "out")
    assert visible(tmp_path) == {archive.name}
    extract(archive, tmp_path / "out")


def test_data_after_the_end_count_too(tmp_path, monkeypatch):
    import gzip

    archive = make_tar(tmp_path / "a.tar")
    packed = tmp_path / "a.tar.gz"
    packed.write_bytes(gzip.compress(archive.read_bytes() + bytes(3_000_000)))
    monkeypatch.setattr(_unpacking, "SMALL", 1_000_000)
    with pytest.raises(FormatError, match="bomb"):
        extract(packed, tmp_path / "out")


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX limits")
@pytest.mark.parametrize("name", ["a.zip", "a.tar"])
def test_a_full_disk_leaves_nothing_and_the_next_run_completes(tmp_path, name, monkeypatch):
    import resource as limits

    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # Python would cut it short
    archive, before = KINDS[name](tmp_path / name), limits.getrlimit(limits.RLIMIT_FSIZE)
    limits.setrlimit(limits.RLIMIT_FSIZE, (5000, before[1]))
    try:
        with pytest.raises(OSError, match=f"{name} stopped after 13240 bytes"):
            extract(archive, tmp_path / "out")
    finally:
        limits.setrlimit(limits.RLIMIT_FSIZE, before)
    assert visible(tmp_path) == {name}
    extract(archive, tmp_path / "out")
    assert read_tree(tmp_path / "out") == FILES


def test_a_folder_that_cannot_be_written_is_no_fault_of_the_archive(tmp_path, monkeypatch):
    archive = make_zip(tmp_path / "a.zip")

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(_unpacking, "open", refuse, raising=False)
    with pytest.raises(PermissionError):
        extract(archive, tmp_path / "out")


SCRIPT = """
import sys, time
from sj_datasets.download import _unpacking, extract
write = _unpacking.Unpacking.write
def slow(self, name, stream):
    write(self, name, stream)
    print(name, flush=True)
    time.sleep(60)
_unpacking.Unpacking.write = slow
extract(sys.argv[1], sys.argv[2])
"""


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_a_killed_process_leaves_nothing_that_the_next_one_keeps(tmp_path):
    archive = make_zip(tmp_path / "a.zip")
    command = [sys.executable, "-c", SCRIPT, str(archive), str(tmp_path / "out")]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGKILL)
    assert not (tmp_path / "out").exists()
    assert any("extracting" in name for name in os.listdir(tmp_path))
    extract(archive, tmp_path / "out", progress=True)
    assert read_tree(tmp_path / "out") == FILES
    assert visible(tmp_path) == {"a.zip", "out"}
