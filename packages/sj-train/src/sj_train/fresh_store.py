"""A part of torchrun's key-value store that holds nothing of processes that have died.

torchrun keeps its store when it starts processes again, and with it the addresses that the dead
ones left there.  Its count of restarts cannot tell the rounds apart: it counts on each node what
began there.  So the processes of a round agree on a name of their own: each takes a number that
nobody had before and waits for the answer to it, which only a living rank 0 can give.
"""

from __future__ import annotations

import time
from typing import Any

from torch.distributed.distributed_c10d import PrefixStore, Store

__all__ = ["fresh_store"]

_PAUSE = 0.01  # seconds


def fresh_store(store: Store, rank: int, world_size: int) -> Store:
    """The part of ``store`` that the ``world_size`` living processes share; all must call this.

    Raises:
        TimeoutError: not all of them came within the timeout of ``store``.
    """
    store = PrefixStore("sj_train", store)
    if rank == 0:
        return PrefixStore(_gather(store, world_size - 1), store)
    number = store.add("arrivals", 1)
    try:
        name = store.get(f"answer_{number}").decode()
    except RuntimeError as error:
        raise TimeoutError(f"process {rank}: process 0 did not come") from error
    store.add(f"{name}_met", 1)
    return PrefixStore(name, store)


def _gather(store: Any, others: int) -> str:
    """Tell every process that arrives the name of this round, until ``others`` have heard it."""
    end = time.monotonic() + store.timeout.total_seconds()
    name = f"round_{store.add('rounds', 1)}"
    answered = 0
    while (met := store.add(f"{name}_met", 0)) < others:
        arrived = store.add("arrivals", 0)
        # Numbers of the dead are answered as well; nobody reads that.
        for number in range(answered + 1, arrived + 1):
            store.set(f"answer_{number}", name)
        answered = arrived
        if time.monotonic() > end:
            raise TimeoutError(f"{others - met} of {others + 1} processes did not come")
        time.sleep(_PAUSE)
    return name
