"""A lock between processes, so that only one at a time builds what lies in a folder."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

__all__ = ["folder_lock"]

_log = logging.getLogger(__name__)
_POLL_S = 0.1
_UNSUPPORTED = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL}
_held: set[tuple[int, int, Path]] = set()  # (process, thread, lock file)


@contextlib.contextmanager
def folder_lock(
    folder: str | os.PathLike[str], name: str = ".lock", timeout: float | None = None
) -> Iterator[None]:
    """Hold the lock of ``folder`` while the block runs; others wait.

    The lock ends with the block or with the process, however that dies; its empty file stays.
    A thread that holds it may take it again; other threads and processes wait, and a message is
    logged when waiting begins.  On a file system without locks a warning is logged instead.

    Args:
        folder: existing folder.
        name: name of the lock file in it; different names are independent locks.
        timeout: seconds to wait at most, ``None`` = as long as it takes.

    Raises:
        FileNotFoundError: the folder does not exist.
        PermissionError: the lock file cannot be made.
        TimeoutError: another process still holds the lock.
    """
    path = Path(folder).resolve() / name
    key = (os.getpid(), threading.get_ident(), path)
    if key in _held:
        yield
        return
    descriptor = _open(path)
    try:
        _acquire(descriptor, path, timeout)
        _held.add(key)
        try:
            yield
        finally:
            _held.discard(key)
            _unlock(descriptor)
    finally:
        os.close(descriptor)


def _open(path: Path) -> int:
    folder = path.parent
    if not folder.is_dir():
        raise FileNotFoundError(f"folder {folder} does not exist; create it first")
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except PermissionError as error:
        raise PermissionError(f"folder {folder} is not writable (lock file {path.name})") from error


def _acquire(descriptor: int, path: Path, timeout: float | None) -> None:
    end = None if timeout is None else time.monotonic() + timeout
    told = False
    while True:
        try:
            if _try_lock(descriptor):
                return
        except OSError as error:
            if error.errno not in _UNSUPPORTED:
                raise
            _log.warning(
                "%s: this file system has no locks; run one process at a time", path.parent
            )
            return
        if end is not None and time.monotonic() >= end:
            raise TimeoutError(
                f"another process has been working in {path.parent} for {timeout:g} s"
            )
        if not told:
            _log.warning("waiting for another process that works in %s", path.parent)
            told = True
        time.sleep(_POLL_S)


if sys.platform == "win32":  # pragma: no cover
    import msvcrt

    def _try_lock(descriptor: int) -> bool:
        os.lseek(descriptor, 0, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    def _unlock(descriptor: int) -> None:
        os.lseek(descriptor, 0, os.SEEK_SET)
        with contextlib.suppress(OSError):  # never locked on a file system without locks
            msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def _try_lock(descriptor: int) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _unlock(descriptor: int) -> None:
        with contextlib.suppress(OSError):  # never locked on a file system without locks
            fcntl.flock(descriptor, fcntl.LOCK_UN)
