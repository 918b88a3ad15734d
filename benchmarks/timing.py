"""Times of several contenders, taken side by side so that they share the machine's moods.

CPU time of the process is counted: it does not grow while other programs have the processor. What
it cannot hide is a memory bus that others use; the quartiles show that.
"""

from __future__ import annotations

import gc
import random
import statistics
import time
from collections.abc import Callable, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass

__all__ = ["Timing", "interleaved", "rounds_of", "summary"]

_SHORT = 1e-3  # seconds
_FEWEST, _MOST = 7, 400  # rounds
_SETTLING = 2  # rounds that do not count: the allocator finds its places

Clock = Callable[[], float]


@dataclass(frozen=True)
class Timing:
    """Milliseconds per call: median and quartiles over `rounds` rounds."""

    ms: float
    low: float
    high: float
    rounds: int

    def record(self) -> dict[str, float]:
        """As written to JSON, rounded to what is meaningful."""
        return {
            key: value if key == "rounds" else float(f"{value:.4g}")
            for key, value in asdict(self).items()
        }


def interleaved(
    contenders: Mapping[str, Callable[[], object]],
    seconds: float,
    clock: Clock = time.process_time,
    short: float = _SHORT,
) -> dict[str, Timing]:
    """Times of all contenders, called in turn until the time is over; see :func:`rounds_of`."""
    made = rounds_of(contenders, seconds, clock, short)
    return {name: summary(values) for name, values in made.items()}


def rounds_of(
    contenders: Mapping[str, Callable[[], object]],
    seconds: float,
    clock: Clock = time.process_time,
    short: float = _SHORT,
) -> dict[str, list[float]]:
    """Milliseconds of each contender in each round.

    The values of one round are neighbours in time, so the ratio of two contenders is best taken
    round by round.

    Args:
        contenders: what to call, by name.
        seconds: CPU time for all of them together; a few rounds are made in any case.
        clock: counts seconds.
        short: seconds; shorter calls are repeated within one measurement. The longer, the less
            counts what the contender before has left in the caches.
    """
    shuffled = random.Random(0).sample
    with _without_collection():
        repeats = {name: _repeats(call, clock, short) for name, call in contenders.items()}
        times: dict[str, list[float]] = {name: [] for name in contenders}
        end = time.process_time() + seconds
        for made in range(-_SETTLING, _MOST):
            if made >= _FEWEST and time.process_time() > end:
                break
            for name in shuffled(list(contenders), len(contenders)):
                call, count = contenders[name], repeats[name]
                start = clock()
                for _ in range(count):
                    call()
                spent = clock() - start
                if made >= 0:
                    times[name].append(spent / count * 1e3)
    return times


def _repeats(call: Callable[[], object], clock: Clock, short: float) -> int:
    call()
    call()
    start = clock()
    call()
    return max(1, min(1000, int(short / max(clock() - start, 1e-7))))


def summary(values: list[float]) -> Timing:
    """Median and quartiles."""
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return Timing(middle, low, high, len(values))


@contextmanager
def _without_collection():
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
