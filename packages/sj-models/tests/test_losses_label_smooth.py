from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from sj_models.losses import CrossEntropyLoss, LabelSmoothLoss

N, K = 4, 5
SCORES = torch.randn(N, K, generator=torch.Generator().manual_seed(0))
LABEL = torch.tensor([4, 0, 2, 4])


@given(st.floats(0, 0.999))
def test_smoothed_targets_are_distributions_that_keep_the_class(eps):
    for mode in ("original", "classy_vision"):
        smoothed = LabelSmoothLoss(eps, mode=mode).smooth(LABEL, SCORES)
        torch.testing.assert_close(smoothed.sum(1), torch.ones(N))
        assert (smoothed.argmax(1) == LABEL).all()


def test_original_is_the_smoothing_of_torch():
    found = LabelSmoothLoss(0.2)(SCORES, LABEL)
    torch.testing.assert_close(found, F.cross_entropy(SCORES, LABEL, label_smoothing=0.2))


def test_no_smoothing_is_the_cross_entropy():
    found = LabelSmoothLoss(0)(SCORES, LABEL)
    torch.testing.assert_close(found, CrossEntropyLoss()(SCORES, LABEL))


def test_several_labels_use_independent_classes():
    target = torch.tensor([[1, 0, 1, 0, 0]]).float()
    loss = LabelSmoothLoss(0.1, mode="multi_label")
    smoothed = loss.smooth(target, SCORES[:1])
    torch.testing.assert_close(smoothed, torch.tensor([[0.9, 0.1, 0.9, 0.1, 0.1]]))
    expected = F.binary_cross_entropy_with_logits(SCORES[:1], smoothed)
    torch.testing.assert_close(loss(SCORES[:1], target), expected)


def test_number_of_classes_is_not_latched():
    loss = LabelSmoothLoss(0.1)
    loss(SCORES, LABEL)
    loss(SCORES[:, :3], torch.zeros(N, dtype=torch.long))
    with pytest.raises(ValueError, match="num_classes=4, but the scores have 5"):
        LabelSmoothLoss(0.1, num_classes=4)(SCORES, LABEL)


def test_sample_weights_and_gradient():
    loss = LabelSmoothLoss(0.1, class_weight=[1.0, 2.0, 1.0, 1.0, 0.5])
    weight = torch.tensor([0.0, 1.0, 0.0, 0.0])
    torch.testing.assert_close(
        loss(SCORES, LABEL, weight, avg_factor=1), loss(SCORES[1:2], LABEL[1:2])
    )
    scores = SCORES.double().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: loss(x, LABEL), scores)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"label_smooth_val": 1.0}, r"must be in \[0, 1\), got 1.0"),
        ({"label_smooth_val": -0.1}, r"must be in \[0, 1\), got -0.1"),
        ({"label_smooth_val": 0.1, "mode": "best"}, "mode must be one of .*got 'best'"),
        (
            {"label_smooth_val": 0.1, "mode": "multi_label", "use_sigmoid": False},
            "needs use_sigmoid=True",
        ),
    ],
)
def test_wrong_options(options, message):
    with pytest.raises(ValueError, match=message):
        LabelSmoothLoss(**options)


def test_wrong_shapes_and_repr():
    with pytest.raises(ValueError, match="LabelSmoothLoss: expected scores"):
        LabelSmoothLoss(0.1)(SCORES[0], LABEL)
    assert "label_smooth_val=0.1, mode='original'" in repr(LabelSmoothLoss(0.1))
