"""Writing files so that a reader sees the old file or the whole new one, never a part."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["atomic_path"]


@contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path beside ``path`` that replaces it when the block ends well.

    The temporary file keeps the suffix, so libraries that choose a format by it work.
    When the block raises, the temporary file is removed and ``path`` stays as it was.

    Raises:
        FileNotFoundError: the folder of ``path`` does not exist.
        PermissionError: the folder is not writable.
        IsADirectoryError: ``path`` is a folder.
    """
    target = Path(path)
    temporary = _reserve(target)
    try:
        yield temporary
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


def _reserve(target: Path) -> Path:
    folder = target.parent
    if not folder.is_dir():
        raise FileNotFoundError(f"{target}: folder {folder} does not exist; create it first")
    if target.is_dir():
        raise IsADirectoryError(f"{target} is a folder; give a file name")
    temporary = folder / f".{target.stem[:100]}.{secrets.token_hex(6)}{target.suffix}"
    try:
        # os.open, not mkstemp: the finished file gets the user's usual permissions.
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    except PermissionError as error:
        raise PermissionError(f"{target}: folder {folder} is not writable") from error
    return temporary
