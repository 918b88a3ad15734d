"""Unpacking zip, tar, 7z and rar without trusting what they hold.

Everything is unpacked into a hidden folder beside the target, which takes its name at the end, so
a target that exists is complete.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import tarfile
from collections.abc import Callable, Iterable
from pathlib import Path

from ..errors import FormatError
from ..locking import folder_lock
from . import _external, _tar, _zip
from ._unpacking import DAMAGED, Unpacking, move_into
from .progress import progress_bar

__all__ = ["extract", "extract_all", "is_archive"]

_COMPRESSED_TAR = (".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
_PARTS = re.compile(r"(?i)\.(?:part(?P<part>\d+)\.rar|r(?P<old>\d\d)|7z\.(?P<split>\d{3}))$")
_MAGIC = {
    b"PK\x03\x04": "zip",
    b"PK\x05\x06": "zip",
    b"7z\xbc\xaf\x27\x1c": "external",
    b"Rar!\x1a\x07": "external",
}


def extract(
    archive: str | os.PathLike[str], folder: str | os.PathLike[str], *, progress: bool = False
) -> Path:
    """Unpack one archive into ``folder``; see :func:`extract_all`."""
    return extract_all([archive], folder, progress=progress)


def extract_all(
    archives: Iterable[str | os.PathLike[str]],
    folder: str | os.PathLike[str],
    *,
    progress: bool = False,
) -> Path:
    """Unpack archives (zip, tar, tar.gz, tar.bz2, tar.xz, 7z, rar) into ``folder``.

    7z and rar, also in parts, need one of the tools 7z, 7zz, unrar, unar or bsdtar; of an archive
    in parts, the first part stands for all and the others are passed over.  The folder appears
    when everything is unpacked; one that exists already receives the new entries and keeps its
    others.  Links inside an archive become hard links to the files they name.

    Args:
        archives: the files.
        folder: the target, whose parent folder exists.
        progress: whether to show a bar on standard error.

    Returns:
        The target as a path.

    Raises:
        FileNotFoundError: an archive, or the parent of ``folder``, does not exist.
        FormatError: an archive is damaged, encrypted, no archive, would write outside the
            folder, or unpacks to far more than it could honestly hold.
        ValueError: a later part of an archive is given without its first part.
        OSError: the disk is too small or full.
        RuntimeError: the tool for 7z or rar is missing.
    """
    target = Path(folder).absolute()
    sources = _first_parts([Path(archive) for archive in archives])
    beside = target.parent
    if target.is_dir() and not os.access(beside, os.W_OK):
        beside = target
    with folder_lock(beside, f".{target.name}.lock"):
        for stale in beside.glob(_temporary_name(target, "*")):
            shutil.rmtree(stale)
        temporary = beside / _temporary_name(target, secrets.token_hex(4))
        temporary.mkdir()
        try:
            for source in sources:
                _unpack(source, temporary, progress=progress)
            move_into(temporary, target)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    return target


def is_archive(path: str | os.PathLike[str]) -> bool:
    """Whether :func:`extract_all` can unpack the file, judged by its first bytes."""
    path = Path(path)
    return path.is_file() and _kind(path) is not None


def _first_parts(archives: list[Path]) -> list[Path]:
    for path in archives:
        if not path.is_file():
            raise FileNotFoundError(f"{path}: no such file")
    first = [path for path in archives if _is_first_part(path)]
    begun = {path.with_name(_stem(path)) for path in first}
    for path in archives:
        if path.with_name(_stem(path)) not in begun:
            raise ValueError(f"{path} is a later part of an archive; give its first part, too")
    return first


def _is_first_part(path: Path) -> bool:
    match = _PARTS.search(path.name)
    if match is None:
        return True
    if match["old"] is not None:  # a.rar, a.r00, a.r01, ...
        return False
    return int(match["part"] or match["split"]) <= 1


def _stem(path: Path) -> str:
    """Name without what tells the parts of an archive apart."""
    match = _PARTS.search(path.name)
    return path.name[: match.start()] if match else path.name.removesuffix(".rar")


def _parts(source: Path) -> list[Path]:
    stem = _stem(source)
    if stem == source.name:
        return [source]
    return [path for path in source.parent.iterdir() if _stem(path) == stem]


def _temporary_name(target: Path, token: str) -> str:
    name = target.name if token != "*" else re.sub(r"([*?\[])", r"[\1]", target.name)
    return f".{name}.extracting-{token}"


def _kind(path: Path) -> str | None:
    with open(path, "rb") as file:
        head = file.read(512)
    for magic, kind in _MAGIC.items():
        if head.startswith(magic):
            return kind
    if path.name.lower().endswith(_COMPRESSED_TAR) and not head.lstrip().startswith(b"<"):
        return "tar"
    try:
        return "tar" if tarfile.is_tarfile(path) else None
    except DAMAGED:  # a compressed file that ends too early
        return None


_UNPACK: dict[str, Callable[[Unpacking], None]] = {
    "zip": _zip.unpack,
    "tar": _tar.unpack,
    "external": _external.unpack,
}


def _unpack(source: Path, folder: Path, *, progress: bool) -> None:
    kind = _kind(source)
    if kind is None:
        raise FormatError(
            source, "no zip, tar, 7z or rar archive; was a web page saved in its place?", 0
        )
    size = sum(part.stat().st_size for part in _parts(source))
    with progress_bar(size, f"unpacking {source.name}", enabled=progress) as bar:
        job = Unpacking(source, folder, size, bar)
        _UNPACK[kind](job)
        job.finish()
