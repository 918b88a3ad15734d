from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from sj_models.losses import L1Loss, l1_loss


def test_mean_absolute_difference_and_its_gradient():
    pred = torch.randn(3, 4, dtype=torch.float64, requires_grad=True)
    target = torch.randn(3, 4, dtype=torch.float64)
    torch.testing.assert_close(L1Loss()(pred, target), F.l1_loss(pred, target))
    torch.testing.assert_close(l1_loss(pred, target), F.l1_loss(pred, target))
    assert torch.autograd.gradcheck(lambda x: L1Loss()(x, target, avg_factor=3), pred)


@pytest.mark.parametrize("target", [torch.zeros(3), torch.zeros(3, 1), torch.zeros(0, 4)])
def test_other_shapes_are_refused(target):
    with pytest.raises(ValueError, match=r"of one shape.*one_hot"):
        L1Loss()(torch.zeros(len(target), 4) if not target.numel() else torch.zeros(3, 4), target)
