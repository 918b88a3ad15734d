from __future__ import annotations

import math

import pytest
import torch

from sj_models.heads import ContrastiveHead, rate_embedding


def test_equal_similarities_cost_the_logarithm_of_their_number():
    head = ContrastiveHead(temperature=0.3)
    loss = head.loss(torch.zeros(2, 1), torch.zeros(2, 7))
    assert loss.item() == pytest.approx(math.log(8))


def test_a_high_positive_costs_nothing():
    assert ContrastiveHead().loss(torch.ones(2, 1), -torch.ones(2, 7)).item() < 1e-6


def test_steps_are_compared_one_by_one_and_averaged():
    head = ContrastiveHead({"type": "LabelSmoothLoss", "label_smooth_val": 0.1})
    pos, neg = torch.rand(3, 2, 1), torch.rand(3, 2, 4)
    steps = [head.loss(p, n) for p, n in zip(pos, neg, strict=True)]
    torch.testing.assert_close(head.loss(pos, neg), torch.stack(steps).mean())


def test_embedding_of_rates_has_length_1_or_is_silent():
    spikes = (torch.rand(5, 2, 6) > 0.5).float()
    spikes[:, 1] = 0
    rates = rate_embedding(spikes)
    torch.testing.assert_close(rates.norm(dim=1), torch.tensor([1.0, 0.0]))
    with pytest.raises(ValueError, match=r"rate_embedding: expected \[T, N, D\]"):
        rate_embedding(spikes[0])


def test_errors():
    with pytest.raises(ValueError, match="temperature must be above 0, got 0"):
        ContrastiveHead(temperature=0)
    for pos, neg in (((2, 2), (2, 3)), ((2, 1), (3, 3)), ((1,), (3,))):
        with pytest.raises(ValueError, match=r"expected similarities \[N, 1\] and \[N, K\]"):
            ContrastiveHead().loss(torch.rand(pos), torch.rand(neg))
