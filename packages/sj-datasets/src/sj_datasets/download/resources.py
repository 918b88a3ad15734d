"""What every publisher offers: file names, addresses and checksums, from ``resources.json``."""

from __future__ import annotations

import difflib
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

__all__ = ["Resource", "ResourceSet", "dataset_names", "resources"]


@dataclass(frozen=True)
class Resource:
    """One published file.

    Args:
        name: its name in the download folder.
        md5: checksum in hexadecimal, or ``None`` where none is known (then only existence counts).
        urls: direct addresses in the order in which they are tried; empty if there is none.
        required: ``False`` for licences, notes and the like, whose absence stops nothing.
    """

    name: str
    md5: str | None
    urls: tuple[str, ...]
    required: bool = True


@dataclass(frozen=True)
class ResourceSet:
    """All published files of one dataset.

    Args:
        dataset: name of the dataset class, or ``"<class>-<variant>"`` for a repacked copy.
        page: the publisher's page.
        downloadable: whether the files may be fetched without a person.
        files: the files.
        note: what else one has to know.
    """

    dataset: str
    page: str
    downloadable: bool
    files: tuple[Resource, ...]
    note: str = ""

    def url_md5(self) -> list[tuple[str, str, str | None]]:
        """Triples (file, address, md5); files without a direct address name the page."""
        return [
            (file.name, file.urls[0] if file.urls else self.page, file.md5) for file in self.files
        ]


def resources(dataset: str) -> ResourceSet:
    """The published files of a dataset.

    Raises:
        KeyError: no such dataset; the message names the nearest one.
    """
    table = _table()
    try:
        return table[dataset]
    except KeyError:
        names = {name.lower(): name for name in table}
        near = difflib.get_close_matches(dataset.lower(), names, n=1, cutoff=0.5)
        hint = f"did you mean {names[near[0]]!r}?" if near else f"known are {', '.join(table)}"
        raise KeyError(f"no dataset {dataset!r}; {hint}") from None


def dataset_names() -> list[str]:
    """Names that :func:`resources` knows."""
    return list(_table())


@cache
def _table() -> dict[str, ResourceSet]:
    text = Path(__file__).with_name("resources.json").read_text(encoding="utf-8")
    table: dict[str, ResourceSet] = {}
    for dataset, entry in json.loads(text).items():
        files = tuple(
            Resource(file["name"], file["md5"], tuple(file["urls"]), file.get("required", True))
            for file in entry["files"]
        )
        table[dataset] = ResourceSet(
            dataset, entry["page"], entry["downloadable"], files, entry.get("note", "")
        )
    return table
