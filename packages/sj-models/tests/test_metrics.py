from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sj_models.metrics import accuracy, confusion_matrix, precision_recall_f1


@given(st.integers(1, 20), st.integers(2, 6), st.integers(0, 99))
def test_accuracy_grows_with_k_up_to_100(n, classes, seed):
    generator = torch.Generator().manual_seed(seed)
    scores = torch.randn(n, classes, generator=generator)
    target = torch.randint(classes, (n,), generator=generator)
    found = accuracy(scores, target, topk=range(1, classes + 2))
    values = [float(value) for value in found.values()]
    assert values == sorted(values)
    assert values[-2:] == [100, 100]
    share = (scores.argmax(1) == target).float().mean().item()
    assert values[0] == pytest.approx(100 * share)
    cells = confusion_matrix(scores, target)
    assert cells.diagonal().sum().item() == pytest.approx(share * n)
    assert (cells.sum(1) == torch.bincount(target, minlength=classes)).all()


def test_silent_output_is_the_first_class_and_not_wrong_by_a_threshold():
    scores, target = torch.zeros(4, 3), torch.tensor([0, 0, 1, 2])
    assert accuracy(scores, target)[1] == 50
    assert accuracy(scores, target, topk=2)[2] == 75
    assert accuracy(scores, target, threshold=0.0)[1] == 0


def test_precision_recall_and_f1_of_a_small_table():
    pred, target = torch.tensor([0, 0, 1, 1, 1]), torch.tensor([0, 1, 1, 1, 0])
    per_class = precision_recall_f1(pred, target, None, num_classes=3)
    torch.testing.assert_close(per_class.precision, torch.tensor([50.0, 200 / 3, 0.0]))
    torch.testing.assert_close(per_class.recall, torch.tensor([50.0, 200 / 3, 0.0]))
    torch.testing.assert_close(per_class.f1, torch.tensor([50.0, 200 / 3, 0.0]))
    assert per_class.support.tolist() == [2, 3, 0]
    micro = precision_recall_f1(pred, target, "micro")
    assert micro.precision == micro.recall == micro.f1 == 60
    macro = precision_recall_f1(pred, target, num_classes=3)
    torch.testing.assert_close(macro.f1, per_class.f1.mean())
    assert macro.support == 5


def test_unsure_predictions_count_for_no_class():
    scores = torch.tensor([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8]])
    target = torch.tensor([0, 0, 1])
    found = precision_recall_f1(scores, target, None, threshold=0.7)
    assert found.precision.tolist() == [100, 100]
    assert found.recall.tolist() == [50, 100]


def test_confusion_of_nothing_and_more_classes():
    empty = torch.zeros(0, dtype=torch.long)
    assert confusion_matrix(empty, empty).shape == (0, 0)
    assert confusion_matrix(torch.tensor([0]), torch.tensor([1]), 4).sum() == 1


def test_errors():
    scores, target = torch.rand(3, 4), torch.tensor([0, 1, 2])
    for bad in (scores[0], scores[:2], scores[:0]):
        with pytest.raises(ValueError, match=r"accuracy: expected scores \[N, K\]"):
            accuracy(bad, target if len(bad) else target[:0])
    for topk in (0, ()):
        with pytest.raises(ValueError, match="topk must be 1 or more"):
            accuracy(scores, target, topk=topk)
    with pytest.raises(ValueError, match=r"expected predictions and targets \[N\]"):
        confusion_matrix(target[:2], target)
    for wrong in (torch.tensor([0, 1, 5]), torch.tensor([0, 1, -1])):
        with pytest.raises(ValueError, match="class indices must be from 0 to 2"):
            confusion_matrix(wrong, target, 3)
    with pytest.raises(ValueError, match="average must be 'macro', 'micro' or None"):
        precision_recall_f1(scores, target, "mean")
    with pytest.raises(ValueError, match="a threshold needs scores"):
        precision_recall_f1(target, target, threshold=0.5)
