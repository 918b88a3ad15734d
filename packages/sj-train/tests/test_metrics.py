from __future__ import annotations

import pytest
import torch

from sj_train.errors import ClassCountError, DataError
from sj_train.metrics import check_classes, top1_top5


def test_accuracy_counts_the_best_and_the_five_best():
    output = torch.eye(7)[[0, 1, 2, 3]] + torch.arange(7.0) * 0.01
    acc1, acc5 = top1_top5(output, torch.tensor([0, 1, 6, 0]))
    assert float(acc1) == 50.0  # 0 and 1
    assert float(acc5) == 75.0  # 6 is second best of the third row


def test_fewer_than_five_classes():
    acc1, acc5 = top1_top5(torch.tensor([[0.1, 0.9], [0.8, 0.2]]), torch.tensor([0, 0]))
    assert (float(acc1), float(acc5)) == (50.0, 100.0)


def test_mixed_targets_count_by_their_largest_weight():
    target = torch.tensor([[0.4, 0.6], [0.9, 0.1]])
    acc1, _ = top1_top5(torch.tensor([[0.0, 1.0], [0.0, 1.0]]), target)
    assert float(acc1) == 50.0


def test_outputs_with_a_time_axis_are_refused():
    with pytest.raises(ValueError, match=r"\[N, K\].*\(4, 2, 3\).*process_output"):
        top1_top5(torch.zeros(4, 2, 3), torch.tensor([0, 1]))


@pytest.mark.parametrize("target", [torch.tensor([0, 3]), torch.ones(2, 4) / 4])
def test_labels_without_an_output_are_refused(target):
    with pytest.raises(ClassCountError, match="3 outputs"):
        check_classes(torch.zeros(2, 3), target)


def test_labels_with_an_axis_are_refused():
    with pytest.raises(DataError, match=r"\[N, 1\]"):
        check_classes(torch.zeros(2, 3), torch.tensor([[0], [1]]))


def test_negative_labels_are_refused_but_ignored_ones():
    check_classes(torch.zeros(2, 3), torch.tensor([-100, 2]))
    with pytest.raises(ClassCountError, match="the data hold class -1, the model has 3 outputs"):
        check_classes(torch.zeros(2, 3), torch.tensor([-1, 2]))
