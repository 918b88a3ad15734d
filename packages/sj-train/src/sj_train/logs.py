"""Messages on standard output, for command lines; importing the package installs nothing."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["console_logging"]


@contextmanager
def console_logging(level: int = logging.INFO) -> Iterator[None]:
    """Print this package's messages of ``level`` and above while the block runs."""
    logger = logging.getLogger("sj_train")
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
    earlier, propagate = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.setLevel(level)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(earlier)
        logger.propagate = propagate
