"""Released weights: fetched once, kept in a folder, checked at every use.

address  {base_url}/{v0.2.3}/{name}.{suffix}
place    {folder}/{v023}/{name}.{suffix}
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from sj_datasets.errors import ChecksumError, DownloadError
from sj_datasets.locking import folder_lock

from ..config import BaseModelConfig
from .loading import read_state
from .pickled import convert_pickled_weights, read_pickled_state
from .trust import check, describe, read_note, write_note

__all__ = ["released_weights", "weights_folder"]

_FOLDER = "SZ_MODELS_WEIGHTS"
_MIRROR = "SZ_MODELS_MIRROR"
_OFFLINE = "SZ_MODELS_OFFLINE"
_PICKLED = {("v010", "ssml"), ("v010", "wgse")}
_WAIT_S = 0.5  # before the second attempt
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Release:
    """One released file.

    Args:
        name: name of the model.
        version: such as ``v023``.
        base_url: what the addresses of all releases begin with.
        pickled: whether it may hold a pickled network instead of a state dict.
    """

    name: str
    version: str
    base_url: str
    pickled: bool

    @property
    def file(self) -> str:
        return f"{self.name}.{'pt' if self.pickled else 'pth'}"

    @property
    def tag(self) -> str:
        return "v" + ".".join(self.version.removeprefix("v"))

    @property
    def url(self) -> str:
        return f"{self.base_url.rstrip('/')}/{self.tag}/{self.file}"

    @property
    def path(self) -> Path:
        return weights_folder() / self.version / self.file

    @property
    def advice(self) -> str:
        return (
            f"download {self.url} and save it as {self.path} ({_FOLDER} chooses another folder, "
            f"{_MIRROR} an address or folder that holds {self.tag}/{self.file})"
        )


def weights_folder() -> Path:
    """Folder of released weights: ``$SZ_MODELS_WEIGHTS``, else in the user's cache."""
    if chosen := os.environ.get(_FOLDER):
        return Path(chosen)
    if sys.platform == "win32":
        cache = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        cache = Path.home() / "Library" / "Caches"
    else:
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "sz-models" / "weights"


def released_weights(cfg: BaseModelConfig, version: str) -> Path:
    """A plain state dict of a released version such as ``"v023"``, downloaded if it is not there.

    The file is fetched from the mirrors in ``$SZ_MODELS_MIRROR`` (addresses or folders, separated
    by commas, that hold ``v0.2.3/<file>``), then from ``cfg.base_url``; a broken download is
    continued, and one process at a time fetches.  A file put there by hand serves as well.  The
    SHA-256 of the first readable file is kept beside it and checked from then on.  The pickled
    networks of v010 (ssml, wgse) are converted to a state dict beside them; nothing in them runs.
    ``$SZ_MODELS_OFFLINE`` forbids downloads.

    Raises:
        FileNotFoundError: it is not there and downloads are forbidden; the message names its
            address and its place.
        DownloadError: it could not be fetched; the message names the same.
        ChecksumError: it is not the file that was used first.
        ValueError: the file that was put there is no weight file.
    """
    pickled = (version, cfg.model_name) in _PICKLED
    release = _Release(cfg.model_name, version, cfg.base_url, pickled)
    path = release.path
    note = read_note(path)
    if note is None or not path.is_file():
        _obtain(release)
    else:
        check(path, note)
    return _plain_copy(path) if pickled else path


def _obtain(release: _Release) -> None:
    """Bring the file to its place, if it is not there, and trust it if it is readable."""
    path = release.path
    there = path.is_file()
    if not there:
        if os.environ.get(_OFFLINE, "").strip().lower() not in ("", "0", "false", "no"):
            raise FileNotFoundError(
                f"no {release.version} weights of {release.name} and {_OFFLINE} is set: "
                f"{release.advice}"
            )
        path.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(folder_lock(path.parent))
        except OSError:
            if not there:
                raise  # a folder that cannot be written serves where nothing is to be fetched
        fetched = not path.is_file()
        if fetched:
            _download(release)
        note = read_note(path)  # of a file that was there before, or of a faster process
        if note is not None:
            check(path, note)
        else:
            _check_readable(release, fetched=fetched)
            write_note(path)


def _download(release: _Release) -> None:
    from sj_datasets.download import Attempts, Resource, fetch  # slow to import, seldom needed

    mirrors = [entry.strip() for entry in os.environ.get(_MIRROR, "").split(",")]
    bases = [mirror.rstrip("/") for mirror in mirrors if mirror]
    sources = (*(f"{base}/{release.tag}/{release.file}" for base in bases), release.url)
    path = release.path
    _log.info("downloading %s to %s", release.url, path)
    try:
        fetch(
            Resource(release.file, None, sources),
            path.parent,
            dataset=f"sz-models-{release.version}",
            progress=sys.stderr.isatty(),
            attempts=Attempts(count=3, wait=_WAIT_S),
        )
    except DownloadError as error:
        raise type(error)(f"{error}; {release.advice}") from error


def _check_readable(release: _Release, *, fetched: bool) -> None:
    try:
        (read_pickled_state if release.pickled else read_state)(release.path)
    except ValueError as error:
        if not fetched:
            raise
        release.path.unlink()
        raise DownloadError(
            f"what was downloaded is removed again: {error}; {release.advice}"
        ) from error


def _plain_copy(path: Path) -> Path:
    """The converted copy beside a pickled file, made where there is none of this very file."""
    copy = path.with_name(f"{path.stem}.converted.pth")
    source = read_note(path) or describe(path)
    if _is_copy(copy, source.sha256):
        return copy
    try:
        with folder_lock(path.parent):
            if not _is_copy(copy, source.sha256):
                _log.info("converting the pickled network %s to %s", path, copy)
                convert_pickled_weights(path, copy)
                write_note(copy, made_from=source.sha256)
    except PermissionError as error:
        raise PermissionError(
            f"{path.parent} cannot be written, so {path.name} cannot be converted there; convert "
            "it with sz_models.weights.convert_pickled_weights(source, target) and set ckpt_path"
        ) from error
    return copy


def _is_copy(copy: Path, made_from: str) -> bool:
    try:
        note = read_note(copy)
        if note is None or note.made_from != made_from or not copy.is_file():
            return False
        check(copy, note)
    except ChecksumError:
        return False  # it can be made again
    return True
