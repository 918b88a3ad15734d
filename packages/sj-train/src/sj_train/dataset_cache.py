"""Lists of image folders, kept for the next start: walking millions of files takes minutes.

$XDG_CACHE_HOME/sj-train/imagefolder/<10 hex digits of sha1(path)>.json
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from . import files
from .data import ImageFolder
from .errors import OutputError

__all__ = ["cache_file", "cached_image_folder"]

_log = logging.getLogger(__name__)


class _Listed(ImageFolder):
    """An image folder that is not walked again."""

    def __init__(
        self,
        root: Path,
        transform: Callable[[Any], Any],
        classes: list[str],
        samples: list[tuple[str, int]],
    ) -> None:
        self.root = root
        self.transform = transform
        self.classes = classes
        self.samples = samples


def cache_file(root: Path) -> Path:
    """Where the list of the images below ``root`` is kept."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    digest = hashlib.sha1(str(root.resolve()).encode(), usedforsecurity=False).hexdigest()
    return Path(base) / "sj-train" / "imagefolder" / f"{digest[:10]}.json"


def cached_image_folder(root: str | Path, transform: Callable[[Any], Any]) -> ImageFolder:
    """:class:`ImageFolder` from the kept list; without one, from the folder, and keeps the list.

    A list is not compared with the folder: delete it when the images change.
    """
    root = Path(root)
    path = cache_file(root)
    known = _read(path, root)
    if known is not None:
        _log.info("%s: %d images as listed in %s", root, len(known[1]), path)
        return _Listed(root, transform, *known)
    folder = ImageFolder(root, transform)
    content = {"root": str(root.resolve()), "classes": folder.classes, "samples": folder.samples}
    try:
        files.prepare_folder(path.parent)
        files.write_atomic(path, lambda file: file.write(json.dumps(content).encode()))
    except OutputError as error:
        # The run can do without.
        _log.warning("the list of images is not kept: %s", error)
    return folder


def _read(path: Path, root: Path) -> tuple[list[str], list[tuple[str, int]]] | None:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["root"] != str(root.resolve()) or not root.is_dir():
            return None
        return list(content["classes"]), [(str(name), int(n)) for name, n in content["samples"]]
    except (OSError, ValueError, KeyError, TypeError):
        return None
