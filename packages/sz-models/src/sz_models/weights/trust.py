"""Trust on first use: the SHA-256 of a weight file, kept beside it in ``<file>.json``.

Nobody published checksums of the weights.  So the first file that proves readable is the one that
is trusted; from then on a file with other content is refused.
"""

from __future__ import annotations

import hashlib
import json
import logging
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from sj_datasets.atomic import atomic_path
from sj_datasets.errors import ChecksumError

__all__ = ["Note", "check", "describe", "note_file", "read_note", "write_note"]

_log = logging.getLogger(__name__)
# A file touched this recently could change again without its time stamp moving.
_SETTLED_NS = 100_000_000


@dataclass(frozen=True)
class Note:
    """What is known about a file.

    Args:
        sha256: checksum in hexadecimal.
        size: bytes.
        mtime_ns: time stamp with which the checksum is not computed again, 0 = never.
        made_from: checksum of the file that this one was converted from.
    """

    sha256: str
    size: int
    mtime_ns: int
    made_from: str = ""


def note_file(path: Path) -> Path:
    """Where the note of a file lies."""
    return path.with_name(f"{path.name}.json")


def read_note(path: Path) -> Note | None:
    """The note of a file, ``None`` if there is none.

    Raises:
        ChecksumError: the note is damaged.
    """
    place = note_file(path)
    try:
        note = Note(**json.loads(place.read_text(encoding="utf-8")))
        if not isinstance(note.sha256, str) or len(note.sha256) != 64:
            raise ValueError("no checksum")
    except FileNotFoundError:
        return None
    except (ValueError, TypeError) as error:
        raise ChecksumError(
            f"{place}, the note of the checksum, is damaged ({error}); remove it to trust "
            f"{path.name} as it is"
        ) from error
    return note


def write_note(path: Path, *, made_from: str = "") -> Note:
    """Trust a file as it is now; where the folder cannot be written, only for this time."""
    note = describe(path, made_from)
    _save(path, note)
    return note


def check(path: Path, note: Note) -> None:
    """Check that a file is the one of its note; it is read only if its time stamp moved.

    Raises:
        ChecksumError: its content is another.
    """
    status = path.stat()
    if note.mtime_ns and (status.st_size, status.st_mtime_ns) == (note.size, note.mtime_ns):
        return
    now = describe(path, note.made_from)
    if now.sha256 != note.sha256:
        raise ChecksumError(
            f"{path} is not the file that was used first: its sha256 was {note.sha256} and is "
            f"{now.sha256}; remove the file to fetch it again, or, if it was replaced on purpose, "
            f"remove {note_file(path)} to trust the new one"
        )
    _save(path, now)


def describe(path: Path, made_from: str = "") -> Note:
    """What a note of the file as it is now says."""
    status = path.stat()
    settled = time.time_ns() - status.st_mtime_ns >= _SETTLED_NS
    with open(path, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return Note(digest, status.st_size, status.st_mtime_ns if settled else 0, made_from)


def _save(path: Path, note: Note) -> None:
    try:
        with atomic_path(note_file(path)) as temporary:
            temporary.write_text(json.dumps(asdict(note), indent=1), encoding="utf-8")
    except OSError as error:
        _log.debug("the checksum of %s is not kept: %s", path, error)
