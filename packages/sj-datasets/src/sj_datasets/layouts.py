"""Finding one's way in published archives: archives within archives, folders of one class each."""

from __future__ import annotations

import tempfile
import warnings
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from .atomic import atomic_path
from .download import extract

__all__ = ["extract_nested", "files_below", "present", "zipped"]


def files_below(folder: Path, suffix: str) -> list[Path]:
    """All files with this suffix below a folder, in the order of their names from the top down.

    Hidden files and what an archiver of macOS adds are left out.

    Raises:
        FileNotFoundError: there is no such file, so the archive is not the published one.
    """
    found = [path for path in folder.rglob(f"*{suffix}") if _belongs(path.relative_to(folder))]
    if not found:
        raise FileNotFoundError(
            f"{folder}: no {suffix} file in it; delete the folder, compare the archive with the "
            "published one (sj-datasets verify) and start again"
        )
    return sorted(found, key=lambda path: path.relative_to(folder).parts)


def _belongs(path: Path) -> bool:
    return not any(part.startswith(".") or part == "__MACOSX" for part in path.parts)


def extract_nested(archive: Path, folder: Path, *, own_folders: bool = False) -> None:
    """Extract every zip file that a zip file holds.

    Args:
        archive: the outer zip file.
        folder: where the contents of the inner ones go.
        own_folders: each into a folder of its name, for archives without a folder inside.
    """
    folder.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".outer-") as outer:
        extract(archive, Path(outer))
        for inner in files_below(Path(outer), ".zip"):
            target = folder / inner.stem if own_folders else folder
            target.mkdir(exist_ok=True)
            extract(inner, target)


@contextmanager
def zipped(archive: Path) -> Iterator[Path]:
    """Yield an empty folder whose contents become the zip file when the block ends well."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        yield folder
        with atomic_path(archive) as partial, zipfile.ZipFile(partial, "w") as packed:
            for path in sorted(folder.rglob("*")):
                packed.write(path, path.relative_to(folder).as_posix())


def present(listed: Sequence[tuple[Path, str]], listing: Path) -> Iterator[tuple[Path, str]]:
    """The listed files that exist, each with what the list says of it; one warning for the rest.

    Raises:
        FileNotFoundError: none of them exists.
    """
    missing = [source for source, _ in listed if not source.is_file()]
    if len(missing) == len(listed):
        raise FileNotFoundError(f"{listing}: none of the files that it lists exists")
    if missing:
        warnings.warn(
            f"{listing} lists {len(listed)} files, {len(missing)} of them do not exist and are "
            f"left out, the first is {missing[0]}",
            stacklevel=2,
        )
    gone = set(missing)
    return ((source, detail) for source, detail in listed if source not in gone)
