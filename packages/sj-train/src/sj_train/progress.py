"""Batches with a progress bar on rank 0, and only where someone can see it."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sized
from contextlib import suppress
from typing import Any

from tqdm import tqdm

from . import distributed
from .reading import read

__all__ = ["progress_bar"]


def progress_bar(loader: Iterable[Any], label: str, enabled: bool) -> tqdm[Any]:
    """``loader`` with a bar on standard error; silent off a terminal and on other ranks.

    Raises:
        DataError: a sample cannot be read.
    """
    visible = enabled and distributed.rank() == 0 and sys.stderr.isatty()
    total = None
    # A DataLoader over an iterable has the method and raises.
    with suppress(TypeError):
        total = len(loader) if isinstance(loader, Sized) else None
    return tqdm(
        read(loader), desc=label, total=total, disable=not visible, leave=False, file=sys.stderr
    )
