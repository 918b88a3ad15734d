from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from sj_models.losses import FocalLoss

SCORES = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
LABEL = torch.tensor([2, 0, 1, 2])


def test_without_focus_it_is_half_the_binary_cross_entropy():
    target = F.one_hot(LABEL, 3).float()
    found = FocalLoss(gamma=0.0, alpha=0.5)(SCORES, LABEL)
    expected = F.binary_cross_entropy_with_logits(SCORES, target) / 2
    torch.testing.assert_close(found, expected)


def test_easy_elements_are_damped():
    easy, hard = torch.tensor([[4.0]]), torch.tensor([[-4.0]])
    target = torch.ones(1, 1)
    ratio = [FocalLoss(g)(easy, target) / FocalLoss(g)(hard, target) for g in (0.0, 2.0)]
    assert ratio[1] < ratio[0] / 100


def test_gradient():
    target = torch.rand(4, 3, dtype=torch.float64)
    scores = SCORES.double().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: FocalLoss(1.5)(x, target), scores)


@pytest.mark.parametrize("options", [{"gamma": -1.0}, {"alpha": 1.5}])
def test_wrong_options(options):
    with pytest.raises(ValueError, match="gamma must be 0 or more and alpha in"):
        FocalLoss(**options)


def test_repr():
    assert "gamma=2.0, alpha=0.25" in repr(FocalLoss())
