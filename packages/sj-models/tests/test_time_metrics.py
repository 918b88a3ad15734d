from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sj_models.metrics import accuracy
from sj_models.time_metrics import accuracy_per_step, latency_to_decision


@given(st.integers(1, 6), st.integers(0, 99))
def test_last_step_of_the_curve_is_the_accuracy_of_the_mean(t, seed):
    generator = torch.Generator().manual_seed(seed)
    scores = torch.randn(t, 5, 4, generator=generator)
    target = torch.randint(4, (5,), generator=generator)
    curve = accuracy_per_step(scores, target, topk=2)
    assert curve.shape == (t,)
    assert curve[-1] == accuracy(scores.mean(0), target, 2)[2]
    alone = accuracy_per_step(scores, target, cumulative=False)
    assert alone[0] == accuracy(scores[0], target)[1]


@given(st.integers(1, 6), st.integers(0, 99))
def test_after_the_latency_the_class_no_longer_changes(t, seed):
    scores = torch.randn(t, 5, 3, generator=torch.Generator().manual_seed(seed))
    classes = scores.argmax(-1)
    for n, latency in enumerate(latency_to_decision(scores, cumulative=False).tolist()):
        assert 1 <= latency <= t
        assert (classes[latency - 1 :, n] == classes[-1, n]).all()
        assert latency == 1 or classes[latency - 2, n] != classes[-1, n]


def test_scores_without_time_are_refused():
    with pytest.raises(ValueError, match=r"expected scores \[T, N, K\]"):
        latency_to_decision(torch.rand(2, 3))
    with pytest.raises(ValueError, match=r"expected scores \[T, N, K\]"):
        accuracy_per_step(torch.rand(2, 3), torch.zeros(2, dtype=torch.long), cumulative=False)
