"""Progress bar on rank 0, and only where someone can see it."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

from tqdm import tqdm

from . import distributed

__all__ = ["progress_bar"]


def progress_bar(loader: Iterable[Any], label: str, enabled: bool) -> tqdm[Any]:
    """``loader`` with a bar on standard error; silent off a terminal and on other ranks."""
    visible = enabled and distributed.rank() == 0 and sys.stderr.isatty()
    return tqdm(loader, desc=label, disable=not visible, leave=False, file=sys.stderr)
