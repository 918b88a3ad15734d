from __future__ import annotations

import errno
import importlib
import logging
import signal
import subprocess
import sys
import threading

import pytest

from sj_datasets.locking import folder_lock

locking = importlib.import_module("sj_datasets.locking")

HOLD = """
import sys
from sj_datasets.locking import folder_lock
with folder_lock(sys.argv[1]):
    print("held", flush=True)
    sys.stdin.read()
"""


def hold(folder) -> subprocess.Popen[str]:
    """A process that holds the lock until its input ends."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_another_process_is_waited_for_with_a_message(tmp_path, caplog):
    with hold(tmp_path) as process:
        with pytest.raises(TimeoutError, match=r"for 0\.15 s"), folder_lock(tmp_path, timeout=0.15):
            pass
        assert str(tmp_path) in caplog.text
        assert "waiting" in caplog.text
        with folder_lock(tmp_path, ".other.lock", timeout=0):
            pass
        process.communicate()
        with folder_lock(tmp_path, timeout=5):
            pass


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_a_killed_process_holds_nothing(tmp_path, caplog):
    with hold(tmp_path) as process:
        process.send_signal(signal.SIGKILL)
        process.wait()
        with folder_lock(tmp_path, timeout=5):
            pass
    assert caplog.text == ""


def test_a_thread_may_take_it_again_but_others_wait(tmp_path):
    seen: list[str] = []

    def other() -> None:
        with folder_lock(tmp_path, timeout=5):
            seen.append("other")

    thread = threading.Thread(target=other)
    with folder_lock(tmp_path):
        with folder_lock(tmp_path / "."):
            thread.start()
        thread.join(0.15)
        seen.append("first")
    thread.join()
    assert seen == ["first", "other"]


def test_an_error_in_the_block_frees_it(tmp_path):
    with pytest.raises(RuntimeError), folder_lock(tmp_path):
        raise RuntimeError
    with folder_lock(tmp_path, timeout=0):
        pass


def test_folders_are_checked(tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError, match="create it first"), folder_lock(tmp_path / "no"):
        pass

    def refuse(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("os.open", refuse)
    with pytest.raises(PermissionError, match="not writable"), folder_lock(tmp_path):
        pass


def test_file_systems_without_locks_get_a_warning(tmp_path, monkeypatch, caplog):
    def fail(code: int):
        def try_lock(_: int) -> bool:
            raise OSError(code, "no")

        monkeypatch.setattr(locking, "_try_lock", try_lock)

    fail(errno.ENOLCK)
    with caplog.at_level(logging.WARNING), folder_lock(tmp_path):
        assert "no locks" in caplog.text
    fail(errno.EIO)
    with pytest.raises(OSError, match="no"), folder_lock(tmp_path):
        pass
