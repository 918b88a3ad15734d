from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from sj_models.build import build
from sj_models.losses import CrossEntropyLoss, LabelSmoothLoss, TETLoss
from sj_neurons.functional import temporal_efficient_training_cross_entropy

T, N, K = 4, 3, 5
SCORES = torch.randn(T, N, K, generator=torch.Generator().manual_seed(0))
LABEL = torch.tensor([4, 0, 2])


def test_without_the_second_term_it_is_the_mean_over_steps():
    found = TETLoss(lamb=0.0)(SCORES, LABEL)
    expected = temporal_efficient_training_cross_entropy(SCORES, LABEL)
    torch.testing.assert_close(found, expected)


def test_only_the_second_term():
    found = TETLoss(lamb=1.0, phi=0.5)(SCORES, LABEL)
    torch.testing.assert_close(found, (SCORES - 0.5).square().mean())


@given(st.integers(1, 5), st.integers(0, 1000))
def test_loss_of_the_mean_is_at_most_the_mean_of_losses(t, seed):
    scores = 5 * torch.randn(t, N, K, generator=torch.Generator().manual_seed(seed))
    jensen = CrossEntropyLoss()(scores.mean(0), LABEL)
    assert jensen <= TETLoss(lamb=0.0)(scores, LABEL) + 1e-5


def test_any_base():
    base = LabelSmoothLoss(0.1, loss_weight=2.0)
    expected = sum(base(o, LABEL) for o in SCORES) / T
    torch.testing.assert_close(TETLoss(base, lamb=0.0)(SCORES, LABEL), expected)
    config = {"type": "TETLoss", "lamb": 0.0}
    config["base"] = {"type": "LabelSmoothLoss", "label_smooth_val": 0.1, "loss_weight": 2.0}
    torch.testing.assert_close(build(config)(SCORES, LABEL), expected)


def test_reductions_agree():
    loss = TETLoss(lamb=0.3)
    weight = torch.tensor([1.0, 0.0, 2.0])
    rows = loss(SCORES, LABEL, weight, reduction_override="none")
    assert rows.shape == (N,)
    assert rows[1] == 0
    torch.testing.assert_close(loss(SCORES, LABEL, weight), rows.mean())
    torch.testing.assert_close(loss(SCORES, LABEL, weight, avg_factor=7), rows.sum() / 7)
    summed = TETLoss(lamb=0.3, reduction="sum", loss_weight=2.0)(SCORES, LABEL, weight)
    torch.testing.assert_close(summed, 2 * rows.sum())


def test_weights_of_steps_are_used_as_given():
    loss = TETLoss(lamb=0.0, step_weights=[0.0, 0.0, 0.0, 2.0])
    torch.testing.assert_close(loss(SCORES, LABEL), 2 * CrossEntropyLoss()(SCORES[-1], LABEL))
    assert not loss.state_dict()
    with pytest.raises(ValueError, match="4 step_weights for 2 time steps"):
        loss(SCORES[:2], LABEL)


def test_gradient():
    loss = TETLoss(lamb=0.2, phi=0.7)
    scores = SCORES.double().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: loss(x, LABEL, avg_factor=2), scores)


def test_errors():
    with pytest.raises(ValueError, match=r"lamb must be in \[0, 1\], got 1.5"):
        TETLoss(lamb=1.5)
    with pytest.raises(ValueError, match="base must be a loss of one step"):
        TETLoss(TETLoss())
    with pytest.raises(ValueError, match="TETLoss: reduction must be one of"):
        TETLoss(reduction="max")
    with pytest.raises(ValueError, match=r"step_weights must be \[T\], got \(1, 2\)"):
        TETLoss(step_weights=[[1, 2]])
    for shape in ((N, K), (0, N, K)):
        with pytest.raises(ValueError, match=r"expected scores \[T, N, K\] with T > 0"):
            TETLoss()(torch.zeros(shape), LABEL)
    with pytest.raises(TypeError):
        TETLoss(nn.MSELoss())(SCORES, LABEL)


def test_repr():
    assert "lamb=0.05, phi=1.0, reduction='mean'" in repr(TETLoss())
