"""The published files of a dataset in ``download``, and what is in them in ``extract``."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from .download import ResourceSet, fetch_all

__all__ = ["extracted_files"]

_log = logging.getLogger(__name__)


class Publication(Protocol):
    """What a dataset class knows of its files."""

    @classmethod
    def resource_set(cls) -> ResourceSet: ...

    @classmethod
    def extract_downloaded_files(cls, download_root: Path, extract_root: Path) -> None: ...


def extracted_files(
    dataset: type[Publication], root: Path, *, is_fake: bool, progress: bool = True
) -> Path:
    """``root/extract``, made from the published files if it is not there.

    An ``extract`` folder that exists is complete: it appears only when everything is in it.

    Raises:
        ManualDownloadError: files are missing that only a person can download.
        DownloadError: a download failed.
        OSError: the disk is full or cannot be written.
    """
    target = root / "extract"
    if target.is_dir():
        _log.info("using %s as it is", target)
        return target
    download = root / "download"
    download.mkdir(exist_ok=True)
    if not is_fake:
        published = dataset.resource_set()
        if published.files:
            fetch_all(published, download, progress=progress)
    elif not any(download.iterdir()):
        raise FileNotFoundError(
            f"{download} is empty: the synthetic copy is gone; delete {root} and start again"
        )
    build_aside(target, lambda folder: dataset.extract_downloaded_files(download, folder))
    return target


def build_aside(target: Path, fill: Callable[[Path], object]) -> None:
    """Let ``fill`` write into a folder in a hidden one beside ``target``, then move it there.

    A ``target`` that exists must be empty.
    """
    hidden = target.with_name(f".{target.name}.partial")
    if hidden.exists():
        shutil.rmtree(hidden)
    aside = hidden / target.name
    aside.mkdir(parents=True)
    try:
        fill(aside)
        if target.exists():
            target.rmdir()
        aside.rename(target)
    finally:
        shutil.rmtree(hidden, ignore_errors=True)
