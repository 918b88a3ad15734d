"""Files that somebody fetched by hand: finding them by checksum, and asking for them."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from pathlib import Path

from .checksum import ChecksumCache
from .resources import Resource, ResourceSet

__all__ = ["MIRROR_VARIABLE", "adopt", "instructions"]

MIRROR_VARIABLE = "SJ_DATASETS_MIRROR"
_log = logging.getLogger(__name__)


def adopt(files: Iterable[Resource], folder: str | os.PathLike[str]) -> dict[str, Path]:
    """Find published files that lie in ``folder`` under other names, and rename them.

    Args:
        files: what is missing; files without a checksum cannot be recognised.
        folder: where to look, not below it.

    Returns:
        The files found, by their published names.
    """
    folder = Path(folder)
    wanted = {file.md5: file for file in files if file.md5 is not None}
    sums = ChecksumCache(folder)
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if not wanted:
            break
        if path.name.startswith(".") or path.suffix == ".part" or not path.is_file():
            continue
        file = wanted.pop(sums.md5(path.name), None)
        if file is None:
            continue
        if path.name != file.name:
            _log.info("%s is %s; renamed", path, file.name)
            os.replace(path, folder / file.name)
        found[file.name] = folder / file.name
    return found


def instructions(
    files: Iterable[Resource], resource_set: ResourceSet, folder: str | os.PathLike[str]
) -> str:
    """What to fetch by hand and where to put it: every file with address, checksum and folder."""
    files = list(files)
    lines: list[str] = []
    for file in files:
        lines.append(f"  {file.name}" + ("" if file.required else " (not required)"))
        lines.extend(f"    from {url}" for url in (*file.urls, resource_set.page) if url)
        lines.append(f"    md5  {file.md5 or 'not known: keep this name'}")
        if file.md5 is not None and (Path(folder) / file.name).is_file():
            other = ChecksumCache(folder).md5(file.name)
            lines.append(f"    (the one that is there has {other}: damaged, or another version)")
    if resource_set.note:
        lines.append(resource_set.note)
    return "\n".join(
        (
            *lines,
            f"Put them into {Path(folder).absolute()} under any name (they are recognised by md5"
            + ("" if all(file.md5 for file in files) else ", where it is known")
            + ") and run this again,",
            f"or set {MIRROR_VARIABLE} to an address or folder that holds "
            f"{resource_set.dataset}/<file>.",
        )
    )
