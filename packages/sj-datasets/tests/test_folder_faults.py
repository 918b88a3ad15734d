"""Runs that are killed or meet each other, and trees and classes made for other libraries."""

from __future__ import annotations

import logging
import signal
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest

from sj_datasets.folder import NeuromorphicDatasetFolder
from sj_datasets.frame_files import np_savez
from sj_datasets.n_mnist import NMNIST

pytestmark = pytest.mark.filterwarnings("ignore::sj_datasets.fake.SyntheticDataWarning")
QUIET = {"progress": False, "workers": 0}
FRAMES = {"data_type": "frame", "frames_number": 4, "split_by": "time"}


SCRIPT = """
import os, signal, sys, warnings
warnings.simplefilter("ignore")
from sj_datasets import atomic, cache
from sj_datasets.n_mnist import NMNIST
suffix, left = sys.argv[2], int(sys.argv[3])
made = 0
real = os.replace
def replace(source, target):
    global left, made
    left -= str(target).endswith(suffix)
    made += str(target).endswith(".npy")
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    real(source, target)
os.replace = replace
train = NMNIST(sys.argv[1], False, "frame", 3, "number", fake=True, workers=0, progress=False)
print(made, len(train))
"""


def run(script, root, suffix="-", left=1):
    """The script, which kills itself before it finishes the ``left``-th file of the suffix."""
    return subprocess.Popen(
        [sys.executable, script, root, suffix, str(left)], stdout=subprocess.PIPE, text=True
    )


def outcome(process):
    """Exit status, and the samples that were made and listed."""
    out, _ = process.communicate()
    return process.returncode, tuple(map(int, out.split()))


def contents(root):
    return {
        path.relative_to(root): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file() and path.suffix == ".npy"
    }


@pytest.fixture(scope="module")
def script(tmp_path_factory):
    path = tmp_path_factory.mktemp("script") / "script.py"
    path.write_text(textwrap.dedent(SCRIPT))
    return path


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")
def test_a_killed_run_is_completed_by_the_next(tmp_path, script):
    killed = tmp_path / "killed"
    # in the synthetic copy, in the extraction, in the events, in the frames
    for suffix, left in [("Test.zip", 1), ("Test", 1), (".npy", 20), (".npy", 60)]:
        assert outcome(run(script, killed, suffix, left)) == (-signal.SIGKILL, ())
    # every run went on where the one before had stopped
    assert outcome(run(script, killed)) == (0, (100 - 19 - 59, 50))
    assert outcome(run(script, tmp_path / "whole")) == (0, (100, 50))
    assert contents(killed) == contents(tmp_path / "whole")
    assert len(contents(killed)) == 100


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")
def test_a_killed_run_with_many_processes_is_completed_too(tmp_path):
    code = (
        "import sys; from sj_datasets.n_mnist import NMNIST\n"
        "NMNIST(sys.argv[1], True, 'frame', 3, 'number', fake=True, workers=2, progress=False)"
    )
    command = [sys.executable, "-W", "ignore", "-c", code, tmp_path / "root"]
    process = subprocess.Popen(command)
    events = tmp_path / "root" / "events_np"
    while process.poll() is None and len(list(events.glob("train/*/[!.]*.npy"))) < 60:
        time.sleep(0.01)
    process.kill()
    process.wait()
    subprocess.run(command, check=True)
    train = NMNIST(tmp_path / "root", True, "frame", 3, "number")
    assert len(train) == 200 and all(frames.sum() == 400 for frames, _ in train)  # type: ignore[call-overload]


def test_of_two_processes_one_builds(tmp_path, script):
    processes = [run(script, tmp_path / "root") for _ in range(2)]
    outcomes = [outcome(process) for process in processes]
    assert sorted(outcomes) == [(0, (0, 50)), (0, (100, 50))]


class PeerStyle(NeuromorphicDatasetFolder):
    """Written as for other libraries: one hook that writes the whole tree of .npz files."""

    def __init__(
        self, root, train=None, data_type="event", frames_number=None, split_by=None, duration=None
    ):
        super().__init__(root, train, data_type, frames_number, split_by, duration, **QUIET)

    @classmethod
    def get_H_W(cls):
        return 6, 8

    @staticmethod
    def resource_url_md5():
        return []

    @staticmethod
    def downloadable():
        return True

    @staticmethod
    def extract_downloaded_files(download_root, extract_root):
        (extract_root / "recording.txt").write_text("1 2 3")

    @staticmethod
    def create_raw_from_extracted(extract_root, raw_root):
        for number in (extract_root / "recording.txt").read_text().split():
            (raw_root / f"class{number}").mkdir()
            column = np.arange(int(number))
            path = raw_root / f"class{number}" / "a.npz"
            np_savez(path, t=column, x=column, y=column, p=column % 2)

    def get_root_when_train_is_none(self, _root):
        return _root


class OlderStyle(PeerStyle):
    @staticmethod
    def create_events_np_files(extract_root, events_np_root):
        for split in ("train", "test"):
            (events_np_root / split).mkdir()
            PeerStyle.create_raw_from_extracted(extract_root, events_np_root / split)


def test_subclasses_in_the_style_of_others_work(tmp_path):
    events = PeerStyle(tmp_path)
    assert len(events) == 3 and events.targets == [0, 1, 2]
    assert events[2][0]["x"].tolist() == [0, 1, 2] and events.samples[2][0].suffix == ".npz"
    frames = PeerStyle(tmp_path, None, "frame", 2, "number")
    assert frames[2][0].shape == (2, 2, 6, 8) and frames[2][0].sum() == 3
    assert frames.samples[2][0].suffix == ".npy"


def test_older_hooks_make_all_splits_at_once(tmp_path):
    assert len(OlderStyle(tmp_path, True)) == 3
    (tmp_path / "extract").rename(tmp_path / "gone")
    assert len(OlderStyle(tmp_path, False)) == 3


def test_a_tree_that_failed_half_way_is_begun_again(tmp_path):
    class Failing(PeerStyle):
        @staticmethod
        def create_raw_from_extracted(extract_root, raw_root):
            PeerStyle.create_raw_from_extracted(extract_root, raw_root)
            raise RuntimeError("half way")

    with pytest.raises(RuntimeError, match="half way"):
        Failing(tmp_path)
    assert not (tmp_path / "events_np").exists()
    assert len(PeerStyle(tmp_path)) == 3


def peers_tree(root, name, **arrays):
    for split in ("train", "test"):
        folder_ = root / name / split / "0"
        folder_.mkdir(parents=True)
        np.savez_compressed(folder_ / "a.npz", **arrays)


def test_trees_of_other_libraries_are_used_as_they_are(tmp_path, caplog):
    column = np.arange(4, dtype=np.uint32)
    peers_tree(tmp_path, "events_np", t=column, x=column, y=column, p=column % 2)
    peers_tree(tmp_path, "duration_5", frames=np.ones((2, 2, 6, 8)))
    with caplog.at_level(logging.WARNING):
        events = PeerStyle(tmp_path, True)
    assert "unchecked" in caplog.text
    assert events[0][0]["t"].dtype == np.uint32
    assert PeerStyle(tmp_path, False, "frame", duration=5)[0][0].dtype == np.float32
    assert PeerStyle(tmp_path, True, **FRAMES)[0][0].sum() == 4
    (tmp_path / "duration_5.building").touch()
    with pytest.raises(RuntimeError, match=r"duration_5 is unfinished.*duration_5\.building"):
        PeerStyle(tmp_path, False, "frame", duration=5)
