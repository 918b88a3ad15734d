"""Output folders and atomic files."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from .errors import OutputError

__all__ = ["link_or_copy", "prepare_folder", "sync_folder", "write_atomic"]

TEMPORARY = ".tmp"
_LEFTOVER = re.compile(r"\..+\.(\d+)\.tmp")  # as _temporary names them


def prepare_folder(folder: Path) -> None:
    """Create ``folder`` and make sure that files can be written in it.

    Temporary files that killed runs of this package left there are removed.

    Raises:
        OutputError: it cannot be created or written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path in folder.iterdir():
            if (found := _LEFTOVER.fullmatch(path.name)) and not _runs(int(found[1])):
                path.unlink(missing_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise OutputError(
            f"cannot write in {folder}: {error.strerror or error}; choose another output folder"
        ) from error


def write_atomic(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Fill a temporary file beside ``path`` with ``write``, then rename it to ``path``.

    Raises:
        OutputError: the disk is full or the folder not writable; ``path`` is unchanged.
    """
    temporary = _temporary(path)
    try:
        with temporary.open("wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        sync_folder(path.parent)
    except (OSError, RuntimeError) as error:
        # torch reports a full disk as RuntimeError.
        reason = getattr(error, "strerror", None) or str(error).partition("\n")[0]
        raise OutputError(f"cannot write {path}: {reason}") from error
    finally:
        temporary.unlink(missing_ok=True)


def link_or_copy(source: Path, target: Path) -> None:
    """Give ``source`` a second name, atomically; the content is copied where links fail."""
    temporary = _temporary(target)
    try:
        temporary.unlink(missing_ok=True)
        try:
            os.link(source, temporary)
        except OSError:
            shutil.copyfile(source, temporary)
        os.replace(temporary, target)
    except OSError as error:
        raise OutputError(f"cannot write {target}: {error.strerror or error}") from error
    finally:
        # Renaming one link of a file onto another does nothing and keeps both.
        temporary.unlink(missing_ok=True)


def _temporary(path: Path) -> Path:
    return path.parent / f".{path.name}.{os.getpid()}{TEMPORARY}"


def _runs(process: int) -> bool:
    """Whether another process of that number may be writing."""
    if os.name != "posix" or process == os.getpid():
        return False
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


def sync_folder(folder: Path) -> None:
    """Make sure that names in ``folder`` are on the disk: renames are lost in a power cut else."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
