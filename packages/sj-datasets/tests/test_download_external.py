from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

from sj_datasets.download import _external, _unpacking, extract, extract_all, is_archive
from sj_datasets.errors import FormatError

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the tools here are scripts")

RAR = b"Rar!\x1a\x07\x01\x00"
# A tool that does what the archive says, in Python, with `folder` as the target.
TOOL = f"""#!{sys.executable}
import os, pathlib, sys, time
archive = next(a for a in sys.argv if ".rar" in a or ".zip" in a or ".7z" in a)
folder = pathlib.Path(next(a for a in sys.argv if ".tool-" in a).removeprefix("-o"))
assert not sys.stdin.read()
exec(open(archive, "rb").read().split(b"|", 1)[1])
"""


@pytest.fixture
def tools(tmp_path, monkeypatch) -> Path:
    """The only folder in PATH; it holds the tool unrar."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    install(folder, "unrar")
    return folder


def install(folder: Path, name: str, text: str = TOOL) -> None:
    (folder / name).write_text(text)
    (folder / name).chmod(0o755)


def make(path: Path, action: str) -> Path:
    path.write_bytes(RAR + b"|" + action.encode())
    return path


WRITE = "(folder / 'sub').mkdir(); (folder / 'sub/a').write_text('A')"


@pytest.mark.parametrize("tool", _external.TOOLS)
def test_every_tool_is_told_archive_and_folder(tmp_path, tools, tool):
    (tools / "unrar").rename(tools / tool)
    archive = make(tmp_path / "a.rar", WRITE)
    assert is_archive(archive)
    extract(archive, tmp_path / "out")
    assert (tmp_path / "out/sub/a").read_text() == "A"
    assert os.listdir(tmp_path / "out") == ["sub"]


def test_the_first_part_stands_for_all(tmp_path, tools):
    names = ["x.part02.rar", "x.part01.rar", "y.rar", "y.r00", "z.7z.001", "z.7z.002"]
    archives = [make(tmp_path / n, f"(folder / '{n}').write_text('A')") for n in names]
    extract_all(archives, tmp_path / "out")
    assert sorted(os.listdir(tmp_path / "out")) == ["x.part01.rar", "y.rar", "z.7z.001"]
    with pytest.raises(ValueError, match=r"x\.part02\.rar is a later part"):
        extract(archives[0], tmp_path / "out")


def test_all_parts_count_for_the_size(tmp_path, tools, monkeypatch):
    monkeypatch.setattr(_unpacking, "SMALL", 0)
    monkeypatch.setattr(_unpacking, "LARGEST_RATIO", 1)
    archive = make(tmp_path / "a.part1.rar", "(folder / 'a').write_bytes(bytes(3000))")
    with pytest.raises(FormatError, match="bomb"):
        extract(archive, tmp_path / "out")
    (tmp_path / "a.part2.rar").write_bytes(RAR + bytes(3000))
    extract(archive, tmp_path / "out")
    assert (tmp_path / "out/a").stat().st_size == 3000


def test_without_a_tool_the_error_names_some(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(RuntimeError, match=r"7z.*unrar.*unar.*apt install"):
        extract(make(tmp_path / "a.rar", ""), tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("action", "told"),
    [
        ("print('Processing'); print('ERROR: Wrong password'); print('0 files'); sys.exit(2)",
         "unrar: ERROR: Wrong password"),
        ("print('missing volume'); sys.exit(3)", "unrar: missing volume"),
        ("sys.exit(3)", "unrar: exit status 3"),
    ],
)  # fmt: skip
def test_a_tool_that_fails_is_quoted(tmp_path, tools, action, told):
    with pytest.raises(FormatError, match=told):
        extract(make(tmp_path / "a.rar", action), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_next_tool_is_tried(tmp_path, tools):
    install(tools, "7zz", "#!/bin/sh\nexit 1\n")
    extract(make(tmp_path / "a.rar", WRITE), tmp_path / "out")
    assert (tmp_path / "out/sub/a").exists()


@pytest.mark.parametrize(
    ("action", "match"),
    [
        ("(folder / 'link').symlink_to('/etc')", "'link' leaves the folder"),
        ("(folder / 'sub').mkdir(); (folder / 'sub/link').symlink_to('../..')", "leaves"),
        ("os.mkfifo(folder / 'pipe')", "device or a pipe"),
    ],
)
def test_what_a_tool_should_not_make_is_refused(tmp_path, tools, action, match):
    with pytest.raises(FormatError, match=match):
        extract(make(tmp_path / "a.rar", action), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_links_that_stay_inside_are_kept(tmp_path, tools):
    extract(make(tmp_path / "a.rar", WRITE + "; (folder / 'link').symlink_to('sub/a')"),
            tmp_path / "out")  # fmt: skip
    assert (tmp_path / "out/link").read_text() == "A"


def test_a_tool_that_fills_the_disk_is_stopped(tmp_path, tools, monkeypatch):
    free = iter([5 << 30, 4 << 30, 2 << 30])
    monkeypatch.setattr(
        shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(9 << 30, 0, next(free))
    )
    monkeypatch.setattr(_external, "_POLL_S", 0.05)
    with pytest.raises(FormatError, match="bomb"):
        extract(make(tmp_path / "a.rar", "time.sleep(60)"), tmp_path / "out")


def test_rare_kinds_of_zip_go_to_a_tool(tmp_path, tools):
    import zipfile

    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("x", "|" + WRITE + "\n#")
    content = bytearray((tmp_path / "a.zip").read_bytes())
    content[content.index(b"PK\x01\x02") + 10] = 9  # Deflate64
    (tmp_path / "a.zip").write_bytes(content)
    install(tools, "unrar", TOOL.replace("[1])", "[1].split(b'#')[0])"))
    extract(tmp_path / "a.zip", tmp_path / "out")
    assert (tmp_path / "out/sub/a").read_text() == "A"
