from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from torch.distributed import HashStore

from sj_train.fresh_store import fresh_store


def store_of(seconds: float) -> HashStore:
    store = HashStore()
    store.set_timeout(timedelta(seconds=seconds))
    return store


def meet(store: HashStore, count: int) -> list:
    with ThreadPoolExecutor(count) as pool:
        # The last rank first: nobody may depend on who comes when.
        joined = [pool.submit(fresh_store, store, rank, count) for rank in reversed(range(count))]
        return [one.result() for one in joined]


def test_processes_of_a_round_share_what_they_write():
    first, *others = meet(store_of(10), 3)
    first.set("key", "value")
    assert [other.get("key") for other in others] == [b"value"] * 2


def test_nothing_of_an_earlier_round_is_seen():
    store = store_of(10)
    before = meet(store, 2)
    before[0].set("key", "old")
    # Two that died before anybody answered them.
    for rank in (1, 2):
        with pytest.raises(TimeoutError):
            fresh_store(timed(store, 0.05), rank, 3)
    after = meet(timed(store, 10), 2)
    assert not after[0].check(["key"])


def timed(store: HashStore, seconds: float) -> HashStore:
    store.set_timeout(timedelta(seconds=seconds))
    return store


@pytest.mark.parametrize(
    ("rank", "told"), [(0, "2 of 3 processes did not come"), (1, "process 0 did not come")]
)
def test_who_stays_away_is_told(rank, told):
    with pytest.raises(TimeoutError, match=told):
        fresh_store(store_of(0.05), rank, 3)
