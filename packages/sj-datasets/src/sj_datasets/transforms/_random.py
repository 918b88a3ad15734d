"""Where the transforms draw from: repeatable on demand, and never twice the same in two workers."""

from __future__ import annotations

import multiprocessing
import os
import re
from typing import Any

import numpy as np

__all__ = ["RandomSource", "Rng"]

Rng = int | np.random.Generator | None
"""A seed, a generator, or ``None``: draws that follow ``np.random.seed``."""


class RandomSource:
    """A generator per process.

    In the process that made it, a seed gives ``np.random.default_rng(seed)`` and a generator is
    used as it is.  Every other process, such as a loader worker, gets a generator of its own,
    derived from the seed and the number that multiprocessing gives to each process: workers
    differ from each other, and a second run of the same program repeats them.

    Args:
        rng: seed, generator, or ``None`` to start from numpy's global state, which loaders of
            torch seed anew in each worker and which ``np.random.seed`` makes repeatable.

    Raises:
        TypeError: rng is something else.
        ValueError: the seed is negative.
    """

    def __init__(self, rng: Rng = None) -> None:
        if isinstance(rng, bool) or not (
            rng is None or isinstance(rng, (int, np.integer, np.random.Generator))
        ):
            raise TypeError(f"rng must be a seed, a numpy Generator or None, got {rng!r}")
        if isinstance(rng, (int, np.integer)) and rng < 0:
            raise ValueError(f"a seed must not be negative, got {rng}")
        self._origin = rng
        self._home = os.getpid()
        self._made: tuple[int, np.random.Generator] | None = None

    def generator(self) -> np.random.Generator:
        """The generator of this process."""
        if self._made is None or self._made[0] != os.getpid():
            self._made = os.getpid(), self._make()
        return self._made[1]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_made": None}

    def _make(self) -> np.random.Generator:
        origin, at_home = self._origin, os.getpid() == self._home
        if origin is None:
            # the legacy state is what np.random.seed sets
            words = np.random.randint(0, 2**31, 4).tolist()  # noqa: NPY002
            return np.random.default_rng([*words, *_process_number()])
        if at_home:
            return np.random.default_rng(origin)
        word = origin.integers(2**62) if isinstance(origin, np.random.Generator) else origin
        return np.random.default_rng([int(word), *_process_number()])


def _process_number() -> list[int]:
    """Numbers in names like ``Process-2:1``; empty for the main process."""
    return [int(digits) for digits in re.findall(r"\d+", multiprocessing.current_process().name)]
