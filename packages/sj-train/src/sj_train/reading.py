"""Batches of a loader, and what is wrong with a sample in one line."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from .errors import DataError, TrainError

__all__ = ["read"]

_CAUGHT = re.compile(r"Caught (\w+) in DataLoader worker")
_UNREADABLE = (OSError, ValueError, EOFError)


def read(loader: Iterable[Any]) -> Iterator[Any]:
    """The batches of ``loader``.

    Raises:
        DataError: a data set raised an ``OSError``, ``ValueError`` or ``EOFError``, here or in a
            worker, or a worker died. Other errors pass: they are no fault of a file.
    """
    batches = iter(loader)
    while True:
        try:
            batch = next(batches)
        except StopIteration:
            return
        except (*_UNREADABLE, RuntimeError) as error:
            told = _what_happened(error)
            if told is None:
                raise
            raise DataError(told) from error
        yield batch


def _what_happened(error: Exception) -> str | None:
    """One line; None where the error stays as it is."""
    text = str(error)
    caught = _CAUGHT.search(text)
    if caught is None and isinstance(error, TrainError):
        return None
    if caught is None and isinstance(error, RuntimeError):
        if not text.startswith("DataLoader worker"):
            return None
        return (
            f"{text.splitlines()[0].rstrip('. ')}: it may have run out of memory; lower --workers "
            "or --batch-size"
        )
    # An error class that takes more than a text comes out of a worker as RuntimeError.
    if caught is not None and isinstance(error, RuntimeError) and caught[1] == "RuntimeError":
        return None
    lines = [line for line in text.splitlines() if line.strip()]
    last = lines[-1].strip() if lines else type(error).__name__
    if caught is not None:
        last = re.sub(rf"^([^\s:]+\.)?{caught[1]}: ", "", last)
    return last if isinstance(error, TrainError) else f"a sample cannot be read: {last}"
