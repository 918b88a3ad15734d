from __future__ import annotations

import copy

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from sj_models.losses import CrossEntropyLoss

N, K = 4, 3
SCORES = torch.randn(N, K, generator=torch.Generator().manual_seed(0))
LABEL = torch.tensor([2, 0, 1, 2])
ONE_HOT = F.one_hot(LABEL, K).float()


def test_hard_equals_soft_with_one_hot_rows():
    hard = CrossEntropyLoss()(SCORES, LABEL)
    torch.testing.assert_close(hard, F.cross_entropy(SCORES, LABEL))
    torch.testing.assert_close(CrossEntropyLoss(use_soft=True)(SCORES, ONE_HOT), hard)
    torch.testing.assert_close(CrossEntropyLoss(use_soft=True)(SCORES, LABEL), hard)


def test_class_weights_do_not_change_the_divisor():
    weight = [1.0, 2.0, 0.5]
    found = CrossEntropyLoss(class_weight=weight)(SCORES, LABEL)
    summed = F.cross_entropy(SCORES, LABEL, torch.tensor(weight), reduction="sum")
    torch.testing.assert_close(found, summed / N)
    soft = CrossEntropyLoss(use_soft=True, class_weight=weight)(SCORES, ONE_HOT)
    torch.testing.assert_close(soft, found)


def test_ignored_samples_count_in_the_divisor():
    label = torch.tensor([2, -100, 1, 2])
    found = CrossEntropyLoss(reduction="none")(SCORES, label)
    assert found[1] == 0
    torch.testing.assert_close(CrossEntropyLoss()(SCORES, label), found.sum() / N)
    other = torch.tensor([2, 7, 1, 2])
    torch.testing.assert_close(CrossEntropyLoss(ignore_index=7)(SCORES, other), found.mean())


def test_sigmoid_averages_over_samples_and_classes():
    found = CrossEntropyLoss(use_sigmoid=True)(SCORES, ONE_HOT)
    torch.testing.assert_close(found, F.binary_cross_entropy_with_logits(SCORES, ONE_HOT))
    torch.testing.assert_close(CrossEntropyLoss(use_sigmoid=True)(SCORES, LABEL), found)


@pytest.mark.parametrize("options", [{}, {"use_soft": True}, {"use_sigmoid": True}], ids=str)
def test_gradients(options):
    loss = CrossEntropyLoss(class_weight=[1.0, 2.0, 0.5], **options)
    scores = SCORES.double().requires_grad_()
    target = LABEL if not options else torch.rand(N, K, dtype=torch.float64)
    weight = torch.rand(N, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: loss(x, target, weight, avg_factor=3), scores)


@given(st.floats(-50, 50))
def test_a_constant_added_to_all_scores_changes_nothing(shift):
    loss = CrossEntropyLoss()
    shifted = loss(SCORES.double() + shift, LABEL)
    torch.testing.assert_close(shifted, loss(SCORES.double(), LABEL))


def test_weights_follow_the_module_and_are_no_state():
    loss = CrossEntropyLoss(use_sigmoid=True, class_weight=[1.0] * K, pos_weight=[2.0] * K)
    assert not loss.state_dict()
    assert loss.to(torch.float64).class_weight.dtype == torch.float64
    assert loss(SCORES.bfloat16(), ONE_HOT).dtype == torch.bfloat16
    torch.testing.assert_close(copy.deepcopy(loss)(SCORES, ONE_HOT), loss(SCORES, ONE_HOT))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"use_sigmoid": True, "use_soft": True}, "choose use_sigmoid or use_soft"),
        ({"pos_weight": [1.0]}, "pos_weight needs use_sigmoid=True"),
        ({"class_weight": [[1.0]]}, "class_weight must be one number per class"),
        ({"reduction": "max"}, "CrossEntropyLoss: reduction must be one of"),
    ],
)
def test_wrong_options(options, message):
    with pytest.raises(ValueError, match=message):
        CrossEntropyLoss(**options)


def test_wrong_shapes():
    loss = CrossEntropyLoss()
    with pytest.raises(ValueError, match="decode the time axis first, or use TETLoss"):
        loss(torch.rand(5, N, K), LABEL)
    with pytest.raises(ValueError, match=r"expected scores \[N, K\], got shape \(3,\)$"):
        loss(torch.rand(K), LABEL)
    with pytest.raises(ValueError, match=r"class indices \[N\] or a target \[N, K\]"):
        loss(SCORES, LABEL[:2])
    with pytest.raises(TypeError, match="needs use_soft=True"):
        loss(SCORES, ONE_HOT)


def test_repr():
    assert "use_sigmoid=False, use_soft=True, reduction='mean'" in repr(
        CrossEntropyLoss(use_soft=True)
    )
