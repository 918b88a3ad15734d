"""A progress bar on standard error, loaded only when one is wanted."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

__all__ = ["Progress", "progress_bar"]


class Progress(Protocol):
    """What a progress bar is told."""

    def update(self, n: float = 1) -> object:
        """``n`` more units are done."""


class _Silent:
    def update(self, n: float = 1) -> None:
        """Nothing is shown."""


@contextmanager
def progress_bar(
    total: float | None,
    description: str,
    *,
    enabled: bool = True,
    initial: float = 0,
    unit: str = "B",
) -> Iterator[Progress]:
    """Show a bar while the block runs.

    Args:
        total: units in all, ``None`` if not known.
        description: text before the bar.
        enabled: ``False`` shows nothing and does not load tqdm.
        initial: units done before.
        unit: name of a unit; bytes are shown as kB, MB, ...
    """
    if not enabled:
        yield _Silent()
        return
    from tqdm import tqdm

    # a log file gets a line now and then, a terminal a moving bar
    interval = 0.2 if sys.stderr.isatty() else 10.0
    with tqdm(
        total=total,
        desc=description,
        initial=initial,
        unit=unit,
        unit_scale=unit == "B",
        unit_divisor=1000,
        mininterval=interval,
        file=sys.stderr,
    ) as bar:
        yield bar
