"""MD5 sums of files, remembered beside them so that a large file is read once."""

from __future__ import annotations

import hashlib
import json
import os
import time
from pathlib import Path

from ..atomic import atomic_path

__all__ = ["ChecksumCache", "file_md5"]

_NAME = ".checksums.json"
# A file touched this recently could change again without its time stamp moving.
_SETTLED_NS = 100_000_000


def file_md5(path: str | os.PathLike[str]) -> str:
    """MD5 of a file in hexadecimal, read in pieces.

    Raises:
        OSError: the file cannot be read.
    """
    with open(path, "rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


class ChecksumCache:
    """Checksums of the files in one folder, valid while size and time stamp stay.

    They are kept in the hidden file ``.checksums.json`` of the folder; where that cannot be
    written, they are computed anew in the next process.

    Args:
        folder: the folder.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)
        self._known = self._load()

    def md5(self, name: str, *, reread: bool = False) -> str:
        """MD5 of the file ``name`` in the folder; ``reread`` ignores what is remembered.

        Raises:
            FileNotFoundError: no such file.
        """
        path = self.folder / name
        stamp = _stamp(path)
        entry = self._known.get(name)
        if entry is not None and not reread and entry[:2] == stamp:
            return entry[2]
        digest = file_md5(path)
        if _stamp(path) == stamp:
            self.remember(name, digest)
        return digest

    def remember(self, name: str, digest: str) -> None:
        """Store a checksum that was computed elsewhere from the file as it is now."""
        size, mtime_ns = _stamp(self.folder / name)
        if time.time_ns() - mtime_ns < _SETTLED_NS:
            return
        self._known = {**self._load(), name: (size, mtime_ns, digest)}
        try:
            with atomic_path(self.folder / _NAME) as temporary:
                temporary.write_text(json.dumps(self._known, indent=1), encoding="utf-8")
        except OSError:
            pass  # a read-only folder: nothing is remembered

    def _load(self) -> dict[str, tuple[int, int, str]]:
        try:
            entries = json.loads((self.folder / _NAME).read_text(encoding="utf-8"))
            return {
                str(name): (int(size), int(mtime_ns), str(digest))
                for name, (size, mtime_ns, digest) in entries.items()
            }
        except (OSError, ValueError, TypeError, AttributeError):
            return {}  # none yet, or damaged: it is only a shortcut


def _stamp(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns
