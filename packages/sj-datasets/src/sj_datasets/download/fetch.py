"""Getting the published files of a dataset into a folder, complete and checked."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import quote

from ..errors import ChecksumError, DownloadError, ManualDownloadError
from ..locking import folder_lock
from ._http import Attempts, DiskFullError, copy_file, download_url, remove_part
from .checksum import ChecksumCache, file_md5
from .manual import MIRROR_VARIABLE, adopt, instructions
from .resources import Resource, ResourceSet

__all__ = ["fetch", "fetch_all", "verify"]

_log = logging.getLogger(__name__)
_ATTEMPTS = Attempts()


def fetch(
    resource: Resource,
    folder: str | os.PathLike[str],
    *,
    dataset: str,
    progress: bool = True,
    attempts: Attempts = _ATTEMPTS,
) -> Path:
    """Fetch one file, or find that it is there already.

    The mirrors in the variable ``SJ_DATASETS_MIRROR`` (addresses or folders, separated by commas,
    each holding ``<dataset>/<file>``) are tried first, then the published addresses.  What arrives
    is kept in ``<name>.part`` and continued by the next call; the file takes its name when it is
    complete and its checksum is right.  One process at a time works in a folder.

    Args:
        resource: the file.
        folder: existing folder.
        dataset: name of the dataset, used with mirrors and in messages.
        progress: whether to show a bar on standard error.
        attempts: how often to try and how long to wait.

    Raises:
        FileNotFoundError: the folder does not exist.
        PermissionError: the folder is not writable.
        ChecksumError: addresses answered, none with the published file; all are listed.
        DownloadError: no address answered, or the disk is full.
    """
    folder = _existing(folder)
    if _state(resource, ChecksumCache(folder)) in ("ok", "unchecked"):
        return folder / resource.name
    with folder_lock(folder):
        sources = [*_mirrors(resource, dataset), *resource.urls]
        return _fetch(resource, folder, dataset, sources, attempts, progress=progress)


def fetch_all(
    resource_set: ResourceSet,
    folder: str | os.PathLike[str],
    *,
    progress: bool = True,
    direct: bool = False,
    attempts: Attempts = _ATTEMPTS,
) -> list[Path]:
    """Make sure that all files of a dataset lie in ``folder``.

    Files that are there and whole are left alone, also in a folder that cannot be written.  Files
    put there by hand are recognised by checksum under any name and renamed.  The rest is fetched.
    Files that are not required are left out if they cannot be had.

    Args:
        resource_set: the files.
        folder: existing folder.
        progress: whether to show a bar on standard error.
        direct: use direct addresses that are known also where the publisher asks people to
            download by hand (``resource_set.downloadable`` is false).
        attempts: how often to try and how long to wait.

    Returns:
        The files that are there now, in the order of ``resource_set.files``.

    Raises:
        ManualDownloadError: files are missing that only a person can fetch; the message lists
            each with address, checksum and folder.
        ChecksumError, DownloadError: see :func:`fetch`.
        FileNotFoundError: the folder does not exist.
    """
    folder = _existing(folder)
    files = resource_set.files
    if not _missing(files, folder):
        return [folder / file.name for file in files]
    with folder_lock(folder):
        adopt(_missing(files, folder), folder)
        _fetch_missing(resource_set, folder, attempts, direct=direct, progress=progress)
        absent = {file.name for file in _missing(files, folder)}
    return [folder / file.name for file in files if file.name not in absent]


def verify(
    resource_set: ResourceSet, folder: str | os.PathLike[str], *, reread: bool = False
) -> dict[str, str]:
    """State of each published file in ``folder``.

    Args:
        resource_set: the published files.
        folder: where they should lie.
        reread: read every file again, also those whose checksum is remembered.

    Returns:
        File name to ``"ok"``, ``"missing"``, ``"corrupt"``, or ``"unchecked"`` (there, but no
        checksum was published).
    """
    sums = ChecksumCache(folder)
    return {file.name: _state(file, sums, reread=reread) for file in resource_set.files}


def _existing(folder: str | os.PathLike[str]) -> Path:
    path = Path(folder)
    if not path.is_dir():
        kind = NotADirectoryError if path.exists() else FileNotFoundError
        raise kind(f"folder {path} does not exist; create it first")
    return path


def _state(file: Resource, sums: ChecksumCache, *, reread: bool = False) -> str:
    if not (sums.folder / file.name).is_file():
        return "missing"
    if file.md5 is None:
        return "unchecked"
    return "ok" if sums.md5(file.name, reread=reread) == file.md5 else "corrupt"


def _missing(files: Iterable[Resource], folder: Path) -> list[Resource]:
    sums = ChecksumCache(folder)
    return [file for file in files if _state(file, sums) in ("missing", "corrupt")]


def _mirrors(file: Resource, dataset: str) -> list[str]:
    """Where the mirrors of the environment variable should hold the file."""
    found: list[str] = []
    for entry in os.environ.get(MIRROR_VARIABLE, "").split(","):
        base = entry.strip()
        if _is_address(base):
            found.append(f"{base.rstrip('/')}/{quote(dataset)}/{quote(file.name)}")
        elif base:
            found.append(str(Path(base, dataset, file.name)))
    return found


def _fetch_missing(
    resource_set: ResourceSet, folder: Path, attempts: Attempts, *, direct: bool, progress: bool
) -> None:
    allowed = direct or resource_set.downloadable
    by_hand: list[Resource] = []
    for file in _missing(resource_set.files, folder):
        sources = [*_mirrors(file, resource_set.dataset), *(file.urls if allowed else ())]
        if not sources:
            by_hand.append(file)
            continue
        try:
            _fetch(file, folder, resource_set.dataset, sources, attempts, progress=progress)
        except DiskFullError:
            raise
        except DownloadError as error:
            if file.required:
                raise _with_advice(error, resource_set, folder) from error
            _log.info("left out: %s", error)
    if any(file.required for file in by_hand):
        raise ManualDownloadError(
            f"{resource_set.dataset}: these files must be downloaded by hand:\n"
            + instructions(by_hand, resource_set, folder)
        )


def _is_address(source: str) -> bool:
    return source.lower().startswith(("http://", "https://"))


def _with_advice(error: DownloadError, resource_set: ResourceSet, folder: Path) -> DownloadError:
    missing = [file for file in _missing(resource_set.files, folder) if file.required]
    advice = instructions(missing, resource_set, folder)
    return type(error)(f"{error}\nWhat is missing can also be downloaded by hand:\n{advice}")


def _fetch(
    file: Resource,
    folder: Path,
    dataset: str,
    sources: list[str],
    attempts: Attempts,
    *,
    progress: bool,
) -> Path:
    target = folder / file.name
    if _state(file, ChecksumCache(folder)) in ("ok", "unchecked"):
        return target  # another process was faster
    reasons: list[str] = []
    kind: type[DownloadError] = DownloadError
    for source in sources:
        _log.info("fetching %s of %s from %s", file.name, dataset, source)
        part = folder / f"{file.name}.part"
        try:
            _fetch_part(file, source, part, attempts, progress=progress)
        except DiskFullError:
            raise
        except DownloadError as error:
            kind = ChecksumError if isinstance(error, ChecksumError) else kind
            reasons.append(f"  {source}: {error}")
            continue
        os.replace(part, target)
        remove_part(part)
        if file.md5 is not None:
            ChecksumCache(folder).remember(file.name, file.md5)
        return target
    tried = "\n".join(reasons) or f"  no address is known; set {MIRROR_VARIABLE}"
    raise kind(f"{file.name} of {dataset} could not be fetched:\n{tried}")


def _fetch_part(
    file: Resource, source: str, part: Path, attempts: Attempts, *, progress: bool
) -> None:
    """Bring the whole file into ``part``, or raise."""
    if not _is_address(source):
        copy_file(Path(source), part)
        _check(file, part)
        return
    if download_url(source, part, attempts, progress=progress):
        try:
            _check(file, part)
        except ChecksumError:  # what was continued may have been the wrong start
            download_url(source, part, attempts, progress=progress)
        else:
            return
    _check(file, part)


def _check(file: Resource, part: Path) -> None:
    if file.md5 is None or (found := file_md5(part)) == file.md5:
        return
    with open(part, "rb") as opened:
        page = opened.read(512).lstrip().lower().startswith((b"<!doctype html", b"<html"))
    size = part.stat().st_size
    remove_part(part)
    what = "a web page" if page else f"another file of {size} bytes with md5 {found}"
    raise ChecksumError(f"the server sent {what}; expected md5 {file.md5}")
