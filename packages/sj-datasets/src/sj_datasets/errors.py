"""What this package raises beside the built-in errors."""

from __future__ import annotations

import os

__all__ = ["ChecksumError", "DownloadError", "FormatError", "ManualDownloadError"]


class FormatError(ValueError):
    """A file breaks the rules of its format.

    Args:
        path: the file.
        message: what was expected and what is there.
        offset: byte at which the file goes wrong, or ``None`` where no byte can be named.
    """

    def __init__(
        self, path: str | os.PathLike[str], message: str, offset: int | None = None
    ) -> None:
        where = "" if offset is None else f", byte {offset}"
        super().__init__(f"{os.fspath(path)}{where}: {message}")
        self.path = os.fspath(path)
        self.offset = offset
        self.message = message

    def __reduce__(self) -> tuple[type[FormatError], tuple[str, str, int | None]]:
        # worker processes hand errors over by pickle, which would pass the text alone
        return type(self), (self.path, self.message, self.offset)


class DownloadError(OSError):
    """A file could not be fetched; what has arrived is kept for the next try."""


class ChecksumError(DownloadError):
    """A file is not the one that was published."""


class ManualDownloadError(DownloadError, NotImplementedError):
    """The publisher hands the files out by hand only; the message says which and how."""
