from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sj_models.ranking_metrics import average_precision, hit_rate, retrieval_average_precision

ORDER = torch.tensor([[5.0, 4.0, 3.0, 2.0, 1.0]])
RELEVANT = torch.tensor([[0, 1, 0, 1, 0]])


def test_by_hand():
    # found at ranks 2 and 4: precisions 1/2 and 2/4
    assert retrieval_average_precision(ORDER, RELEVANT).item() == pytest.approx(50)
    # the precisions before were 0/1 and 1/3
    integrated = retrieval_average_precision(ORDER, RELEVANT, mode="integrate")
    assert integrated.item() == pytest.approx(100 * ((0.5 + 0) / 2 + (0.5 + 1 / 3) / 2) / 2)
    # the divisor stays 2 when only 3 ranks count
    assert retrieval_average_precision(ORDER, RELEVANT, 3).item() == pytest.approx(25)
    assert hit_rate(ORDER, RELEVANT, (1, 2)) == {1: 0, 2: 100}
    assert average_precision(ORDER.T, RELEVANT.T).item() == pytest.approx(50)


@given(st.integers(1, 4), st.integers(1, 6), st.integers(0, 99))
def test_bounds_and_perfect_order(n, m, seed):
    generator = torch.Generator().manual_seed(seed)
    relevant = (torch.rand(n, m, generator=generator) > 0.5).long()
    relevant[:, 0] = 1
    scores = torch.rand(n, m, generator=generator)
    for mode in ("IR", "integrate"):
        assert 0 <= retrieval_average_precision(scores, relevant, mode=mode) <= 100 + 1e-4
        best = retrieval_average_precision(scores + 2 * relevant, relevant, mode=mode)
        assert best.item() == pytest.approx(100)
    values = list(hit_rate(scores, relevant, range(1, m + 1)).values())
    assert values == sorted(values)
    assert values[-1] == 100


def test_unknown_labels_are_ignored():
    scores = torch.tensor([[0.9], [0.8], [0.7]])
    target = torch.tensor([[-1], [1], [0]])
    assert average_precision(scores, target).item() == 100
    found = average_precision(scores.expand(3, 2), torch.cat((target, target * 0), 1), None)
    assert found.tolist() == [100, 0]


def test_query_without_anything_relevant():
    nothing = torch.zeros(1, 5)
    assert retrieval_average_precision(ORDER, nothing) == 0
    assert hit_rate(ORDER, nothing, 5)[5] == 0


def test_errors():
    with pytest.raises(ValueError, match="average must be 'macro' or None, got 'micro'"):
        average_precision(ORDER, RELEVANT, "micro")
    with pytest.raises(ValueError, match="mode must be IR or integrate: 'mean'"):
        retrieval_average_precision(ORDER, RELEVANT, mode="mean")
    with pytest.raises(ValueError, match="topk must be 1 or more, got 0"):
        retrieval_average_precision(ORDER, RELEVANT, 0)
    with pytest.raises(ValueError, match="topk must be 1 or more, got 0"):
        hit_rate(ORDER, RELEVANT, 0)
    for function in (hit_rate, retrieval_average_precision, average_precision):
        for scores, other in ((ORDER, RELEVANT[:, :2]), (ORDER[0], RELEVANT[0])):
            with pytest.raises(ValueError, match="expected two tables of one shape"):
                function(scores, other)
        with pytest.raises(ValueError, match="not empty"):
            function(ORDER[:0], RELEVANT[:0])
