"""The files of a dataset, and which image belongs to which stream."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

__all__ = ["files_with", "pair_images"]


def files_with(folder: Path, suffixes: Sequence[str]) -> list[Path]:
    """Files below a folder by suffix, sorted; without hidden ones, which some archives bring."""
    files = (file for file in Path(folder).glob("**/*") if not file.name.startswith("."))
    return sorted(file for file in files if file.suffix.lower() in suffixes)


def pair_images(streams: Sequence[Path], images: Sequence[Path]) -> list[Path]:
    """Images in the order of their streams: by name, else one to one in the order given.

    Names count without suffix.  Images that no stream asks for are left out with a warning.

    Raises:
        ValueError: the names differ, and so do the numbers of files.
    """
    by_name = {image.stem: image for image in images}
    names = [stream.stem for stream in streams]
    unique = len(by_name) == len(images) and len(set(names)) == len(names)
    missing = [name for name in names if name not in by_name]
    if unique and not missing:
        unused = sorted(set(by_name) - set(names))
        if unused:
            warnings.warn(f"images without a stream: {', '.join(unused)}", stacklevel=4)
        return [by_name[name] for name in names]
    if len(images) != len(streams):
        raise ValueError(
            f"{len(streams)} streams but {len(images)} images, and their names do not tell which "
            f"belong together (no image for {', '.join(missing[:5]) or 'repeated names'})"
        )
    return list(images)
