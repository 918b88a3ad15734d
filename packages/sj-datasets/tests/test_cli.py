from __future__ import annotations

import hashlib
import signal
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest

from sj_datasets import cli
from sj_datasets.download import Resource, ResourceSet, dataset_names
from sj_datasets.errors import DownloadError
from sj_datasets.events import Events
from sj_datasets.formats.table import read_events, write_events
from sj_datasets.registry import DATASETS


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "sj_datasets", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True)


def fails(capsys, *arguments: object, status: int = 2) -> str:
    """The one line that the command prints on standard error."""
    assert cli.main([str(argument) for argument in arguments]) == status
    err = capsys.readouterr().err
    assert err.startswith("sj-datasets: error: ")
    assert err.count("\n") == 1
    return err


@pytest.fixture
def recording(tmp_path) -> Path:
    t = np.arange(4) * 1000
    events = Events.from_arrays(t=t, x=[1, 2, 3, 4], y=[5, 6, 7, 8], p=[0, 1, 1, 1])
    write_events(tmp_path / "a.bin", events)
    return tmp_path / "a.bin"


def test_info_describes_a_recording(recording, capsys):
    assert cli.main(["info", str(recording), "--format", "atis"]) == 0
    out = capsys.readouterr().out
    lines = dict(line.split(None, 1) for line in out.splitlines() if " " in line.strip())
    done = run("info", recording)
    assert (done.returncode, done.stdout, done.stderr) == (0, out, "")
    assert lines["format"] == "atis"
    assert lines["events"] == "4"
    assert lines["duration"] == "3000"


def test_convert_writes_the_same_events(recording, tmp_path, capsys):
    output = tmp_path / "b.npz"
    assert cli.main(["convert", str(recording), str(output)]) == 0
    assert capsys.readouterr().out == f"{output}: 4 events\n"
    assert read_events(output)["t"].tolist() == read_events(recording)["t"].tolist()
    back = tmp_path / "b"
    assert cli.main(["convert", str(output), str(back), "--from", "columns", "--to", "atis"]) == 0
    assert back.read_bytes() == recording.read_bytes()


def test_errors_are_one_line_and_status_two(recording, tmp_path, capsys):
    assert "none.bin" in fails(capsys, "info", tmp_path / "none.bin")
    assert ".xyz" in fails(capsys, "convert", recording, tmp_path / "b.xyz")
    assert not (tmp_path / "b.xyz").exists()
    assert "did you mean" in fails(capsys, "prepare", "NMnist", tmp_path)
    assert "did you mean" in fails(capsys, "verify", "NMnist", tmp_path)
    assert "no such folder" in fails(capsys, "verify", "NMNIST", tmp_path / "none")
    assert "train, test" in fails(capsys, "prepare", "NMNIST", tmp_path, "--split", "val")
    assert "no splits" in fails(capsys, "prepare", "ASLDVS", tmp_path, "--train")
    new = tmp_path / "new"
    assert "--frames-number" in fails(capsys, "prepare", "NMNIST", new, "--split-by", "time")
    assert "positive" in fails(capsys, "prepare", "NMNIST", new, "--duration", "0")
    assert not new.exists()
    with pytest.raises(SystemExit, match="2"):
        cli.main(["prepare", "NMNIST"])
    assert "ROOT" in capsys.readouterr().err
    done = run("prepare", "NMNIST")
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("sj-datasets prepare: error: ")
    assert done.stderr.count("\n") == 1


def test_list_names_every_dataset(capsys):
    assert cli.main(["list"]) == 0
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert set(lines) == {*DATASETS, *dataset_names()}
    assert "by hand" in lines["DVS128Gesture"]
    assert "downloads itself" in lines["CIFAR10DVS"]


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX pipes")
def test_a_reader_that_stops_early_is_no_error():
    command = [sys.executable, "-m", "sj_datasets", "list"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == 128 + signal.SIGPIPE


def test_an_interruption_says_what_to_do(monkeypatch, capsys):
    def interrupt(_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "_list", interrupt)
    assert "run it again" in fails(capsys, "list", status=130)


@pytest.fixture
def published(tmp_path, monkeypatch) -> ResourceSet:
    """Files of NMNIST as a mirror in ``tmp_path/mirror`` holds them."""

    def file(name: str, *, required: bool = True) -> Resource:
        digest = hashlib.md5(name.encode(), usedforsecurity=False).hexdigest()
        return Resource(name, digest, (), required)

    files = (file("Train.zip"), file("Notes.txt", required=False))
    published = ResourceSet("NMNIST", "http://page", downloadable=False, files=files)
    monkeypatch.setattr("sj_datasets.download.resources", lambda _: published)
    monkeypatch.setenv("SJ_DATASETS_MIRROR", str(tmp_path / "mirror"))
    (tmp_path / "mirror/NMNIST").mkdir(parents=True)
    (tmp_path / "mirror/NMNIST/Train.zip").write_text("Train.zip")
    return published


def test_download_and_verify(published, tmp_path, capsys):
    root = tmp_path / "root"
    assert cli.main(["download", "NMNIST", str(root), "--quiet"]) == 0
    assert capsys.readouterr() == (f"{root / 'download/Train.zip'}\n", "")
    assert cli.main(["verify", "NMNIST", str(root)]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out == ["ok        Train.zip", "missing   Notes.txt (not required)"]
    (root / "download/Train.zip").write_text("Train.ZIP")
    assert cli.main(["verify", "NMNIST", str(root)]) == 1
    assert "corrupt   Train.zip" in capsys.readouterr().out
    (root / "download/Train.zip").unlink()
    (root / "Train.zip").write_text("Train.zip")
    assert cli.main(["verify", "NMNIST", str(root)]) == 0
    (root / "Train.zip").unlink()
    assert cli.main(["verify", "NMNIST", str(root)]) == 1


def test_what_a_person_must_fetch_is_listed_on_stdout(published, tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("SJ_DATASETS_MIRROR")
    assert cli.main(["download", "NMNIST", str(tmp_path / "root"), "--quiet"]) == 2
    out, err = capsys.readouterr()
    assert err == (
        "sj-datasets: error: NMNIST: these files must be downloaded by hand; how is printed above\n"
    )
    assert f"md5  {published.files[0].md5}" in out
    assert str(tmp_path / "root/download") in out


def test_prepare_makes_a_synthetic_copy(tmp_path, capsys):
    root = tmp_path / "root"
    frames = ["--frames-number", "4", "--split-by", "number", "--workers", "1", "--quiet"]
    assert cli.main(["prepare", "NMNIST", str(root), "--fake", "--test", *frames]) == 0
    out, err = capsys.readouterr()
    assert err.startswith("sj-datasets: warning: ")
    assert err.count("\n") == 1
    folder, count = out.strip().removesuffix(" samples").split(": ")
    assert Path(folder) == root / "frames_number_4_split_by_number/test"
    assert int(count) >= 20
    assert not (root / "frames_number_4_split_by_number/train").exists()
    done = run("prepare", "NMNIST", root, "--test")
    assert (done.returncode, done.stdout.count("samples")) == (0, 1)
    assert (
        cli.main(
            ["prepare", "NMNIST", str(root), "--test", "--duration", "100000", "--workers", "1"]
        )
        == 0
    )
    assert str(root / "duration_100000/test") in capsys.readouterr().out
    assert "synthetic" in fails(capsys, "download", "NMNIST", root)
    assert "synthetic" in fails(capsys, "verify", "NMNIST", root)


def test_prepare_fetches_what_the_constructor_would_not(tmp_path, monkeypatch, capsys):
    asked: list[object] = []

    def fetch_all(files: ResourceSet, *_: object) -> NoReturn:
        asked.append(files.dataset)
        raise DownloadError("no network here")

    monkeypatch.setattr("sj_datasets.download.fetch_all", fetch_all)
    root = str(tmp_path / "root")
    assert "no network" in fails(capsys, "prepare", "MNIST", root, "--test")
    assert asked == ["MNIST"]
    assert cli.main(["prepare", "MNIST", str(tmp_path / "fake"), "--fake", "--test"]) == 0
    assert capsys.readouterr().out.endswith(" samples\n")
    assert asked == ["MNIST"]
