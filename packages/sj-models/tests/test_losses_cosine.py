from __future__ import annotations

import pytest
import torch

from sj_models.losses import CosineSimilarityLoss


def test_directions_count_and_lengths_do_not():
    x = torch.randn(2, 3, 4)
    loss = CosineSimilarityLoss(shift_factor=1.0)
    torch.testing.assert_close(loss(3 * x, x), torch.tensor(0.0), rtol=0, atol=1e-6)
    torch.testing.assert_close(loss(-x, x), torch.tensor(2.0))


def test_masked_vectors():
    x, y = torch.randn(2, 3, 4), torch.randn(2, 3, 4)
    mask = torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    loss = CosineSimilarityLoss()
    torch.testing.assert_close(loss(x, y, mask), loss(x[:1, :1], y[:1, :1]))
    assert loss(x, y, torch.zeros(2, 3)).item() == 0


def test_gradient_and_repr():
    x = torch.randn(2, 4, dtype=torch.float64, requires_grad=True)
    y = torch.randn(2, 4, dtype=torch.float64)
    loss = CosineSimilarityLoss(2.0, 2.0)
    assert torch.autograd.gradcheck(lambda v: loss(v, y), x)
    assert repr(loss) == "CosineSimilarityLoss(shift_factor=2.0, scale_factor=2.0)"


def test_shapes_that_do_not_fit():
    with pytest.raises(ValueError, match="different shapes"):
        CosineSimilarityLoss()(torch.rand(2, 3), torch.rand(3, 3))
    with pytest.raises(ValueError, match="CosineSimilarityLoss: a mask of shape"):
        CosineSimilarityLoss()(torch.rand(2, 3), torch.rand(2, 3), torch.ones(3))
