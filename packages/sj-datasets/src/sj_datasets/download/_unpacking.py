"""What unpacking every kind of archive has in common: safe names, limits, writing files."""

from __future__ import annotations

import errno
import os
import re
import shutil
import struct
import tarfile
import zipfile
import zlib
from io import FileIO
from pathlib import Path
from typing import IO

from ..errors import FormatError
from .progress import Progress

try:
    from lzma import LZMAError
except ImportError:  # pragma: no cover  # a Python built without xz
    LZMAError = EOFError

__all__ = [
    "DAMAGED",
    "LARGEST_RATIO",
    "LONGEST_LINK",
    "MOST_MEMBERS",
    "SMALL",
    "Unpacking",
    "move_into",
]

MOST_MEMBERS = 5_000_000
LARGEST_RATIO = 300
# Below this size a large ratio does no harm: events of a still scene pack very well.
SMALL = 1 << 30
_CHUNK = 1 << 20
LONGEST_LINK = 4096
_DRIVE = re.compile(r"[A-Za-z]:")

# What zipfile and tarfile are seen to raise on damaged files.
DAMAGED: tuple[type[Exception], ...] = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    LZMAError,
    struct.error,
    EOFError,
    OSError,
    ValueError,
    ArithmeticError,
    LookupError,
    NotImplementedError,
    MemoryError,
)


class Unpacking:
    """One archive on its way into a folder that nobody else uses.

    Links are made last, as hard links, so that nothing is ever written through one.

    Args:
        source: the archive.
        folder: existing folder that receives the members.
        size: bytes of the archive, all parts together.
        progress: is told the bytes of the archive that are done.
    """

    def __init__(self, source: Path, folder: Path, size: int, progress: Progress) -> None:
        self.source = source
        self.folder = folder
        self.size = size
        self.limit = max(SMALL, LARGEST_RATIO * size)
        self.free = shutil.disk_usage(folder).free
        self._progress = progress
        self._done = 0
        self._written = 0
        self._members = 0
        self._folders: set[Path] = set()
        self._links: list[tuple[str, Path, Path]] = []

    def check_total(self, n_bytes: int) -> None:
        """Refuse what unpacks to ``n_bytes`` if that is a bomb or more than the disk has.

        Raises:
            FormatError: more than 1 GiB and more than 300 times the archive.
            OSError: more than the free space.
        """
        if n_bytes > self.limit:
            raise FormatError(
                self.source,
                f"unpacks to at least {n_bytes} bytes, more than {LARGEST_RATIO} times its "
                f"{self.size} bytes; refused as a decompression bomb",
            )
        if n_bytes > self.free:
            raise OSError(
                errno.ENOSPC,
                f"unpacking {self.source} needs at least {n_bytes} bytes, but only {self.free} "
                f"bytes are free; make room, or use another disk than that of",
                str(self.folder.parent),
            )

    def make_folder(self, name: str) -> None:
        """Make the folder ``name``."""
        path = self._path(name)
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise self._unusable(name, error) from error

    def write(self, name: str, stream: IO[bytes]) -> None:
        """Write the member ``name`` from ``stream``.

        Raises:
            FormatError: its name is unsafe, its data are damaged, or there is too much of it.
        """
        path = self._path(name)
        with self._create(name, path) as output:
            while chunk := self._read(name, stream):
                self._written += len(chunk)
                self.check_total(self._written)
                self._put(output, chunk)

    def link(self, name: str, to: str) -> None:
        """Remember the link ``name``; ``to`` counts from the root of the archive."""
        if len(to) > LONGEST_LINK:
            raise FormatError(self.source, f"the link {name!r} is damaged")
        self._links.append((f"{name!r} -> {to!r}", self._path(name), self._path(to)))

    def skip(self, stream: IO[bytes]) -> None:
        """Read ``stream`` to its end, so that its checksum is compared."""
        while chunk := self._read("the end", stream):
            self._written += len(chunk)
            self.check_total(self._written)

    def reached(self, position: int) -> None:
        """``position`` bytes of the archive are done."""
        self._progress.update(position - self._done)
        self._done = position

    def finish(self) -> None:
        """Make the links.

        Raises:
            FormatError: one names no file of the archive.
        """
        waiting = self._links
        while waiting:  # a link may name another link
            rest = [link for link in waiting if not _made(link)]
            if len(rest) == len(waiting):
                raise FormatError(self.source, f"the link {rest[0][0]} names no file in it")
            waiting = rest
        self.reached(self.size)

    def damaged(self, what: str, error: BaseException) -> FormatError:
        """The error for a part of the archive that cannot be read."""
        reason = str(error) or type(error).__name__
        return FormatError(self.source, f"{what} is damaged or cut off: {reason}")

    def _path(self, name: str) -> Path:
        self._members += 1
        if self._members > MOST_MEMBERS:
            raise FormatError(self.source, f"holds more than {MOST_MEMBERS} members; refused")
        parts = name.replace("\\", "/").split("/")
        absolute = len(parts) > 1 and not parts[0]
        if absolute or _DRIVE.match(name) or ".." in parts:
            raise FormatError(self.source, f"the member {name!r} would be written outside; refused")
        try:
            os.fsencode(name)
        except UnicodeEncodeError as error:
            raise FormatError(self.source, f"this system has no name for {name!r}") from error
        if "\0" in name:
            raise FormatError(self.source, f"the name {name!r} is damaged")
        return self.folder.joinpath(*parts)

    def _read(self, name: str, stream: IO[bytes]) -> bytes:
        try:
            return stream.read(_CHUNK)
        except DAMAGED as error:
            raise self.damaged(name, error) from error

    def _create(self, name: str, path: Path) -> FileIO:
        try:
            if path.parent not in self._folders:
                path.parent.mkdir(parents=True, exist_ok=True)
                self._folders.add(path.parent)
            try:
                return open(path, "xb", buffering=0)
            except FileExistsError:  # a member that comes twice: the later one counts
                path.unlink()
                return open(path, "xb", buffering=0)
        except OSError as error:
            raise self._unusable(name, error) from error

    def _put(self, output: FileIO, chunk: bytes) -> None:
        try:
            rest = memoryview(chunk)
            while rest:
                rest = rest[output.write(rest) :]
        except OSError as error:
            message = f"unpacking {self.source} stopped after {self._written} bytes"
            raise OSError(error.errno, f"{message}: {error.strerror}", output.name) from error

    def _unusable(self, name: str, error: OSError) -> OSError | FormatError:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS):
            return error
        return FormatError(self.source, f"the member {name!r} cannot be made: {error.strerror}")


def _made(link: tuple[str, Path, Path]) -> bool:
    _, path, to = link
    if not to.is_file():
        return False
    if path != to:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        try:
            os.link(to, path)
        except OSError:  # a file system without hard links
            shutil.copyfile(to, path)
    return True


def move_into(source: Path, target: Path) -> None:
    """Rename ``source`` to ``target``; folders that exist are filled, files are replaced.

    Raises:
        FileExistsError: a file is where a folder must go, or the other way round.
    """
    if not target.exists():
        os.replace(source, target)
        return
    if source.is_dir() and target.is_dir():
        for entry in source.iterdir():
            move_into(entry, target / entry.name)
        return
    if source.is_dir() or target.is_dir():
        raise FileExistsError(f"{target} is in the way of what the archive holds; remove it")
    os.replace(source, target)
