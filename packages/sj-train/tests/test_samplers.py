from __future__ import annotations

import pytest

from sj_train.errors import DataError
from sj_train.samplers import RepeatedAugmentationSampler


def ranks(count: int, *, epoch: int = 0, reps: int = 2) -> list[list[int]]:
    samplers = [
        RepeatedAugmentationSampler(range(count), world_size=2, rank=r, seed=1, reps=reps)
        for r in range(2)
    ]
    for sampler in samplers:
        sampler.set_epoch(epoch)
    return [list(sampler) for sampler in samplers]


def test_length_is_a_multiple_of_256_shared_by_the_ranks():
    assert [len(r) for r in ranks(600)] == [256, 256]


def test_the_repetitions_of_a_sample_go_to_different_ranks():
    first, second = ranks(300)
    assert first == second
    assert len(set(first)) == len(first)


def test_epochs_differ_and_repeat_by_seed():
    assert ranks(300) == ranks(300)
    assert ranks(300) != ranks(300, epoch=1)


def test_small_sets_are_refused():
    with pytest.raises(DataError, match="at least 256 training samples, got 255"):
        ranks(255)
