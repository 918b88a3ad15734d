from __future__ import annotations

import pytest
import torch
from torch import nn

from sj_train.errors import OptionError
from sj_train.tet import TETLoss


def test_mean_of_the_losses_of_all_steps():
    y = torch.randn(4, 5, 3, generator=torch.Generator().manual_seed(0))
    target = torch.tensor([0, 1, 2, 0, 1])
    loss_of = nn.CrossEntropyLoss(label_smoothing=0.1)
    expected = sum(loss_of(y_t, target) for y_t in y) / 4
    torch.testing.assert_close(TETLoss(loss_of)(y, target), expected)
    pulled = TETLoss(loss_of, weight=0.25, level=2.0)(y, target)
    torch.testing.assert_close(pulled, 0.75 * expected + 0.25 * ((y - 2) ** 2).mean())


def test_an_output_without_time_is_refused():
    with pytest.raises(OptionError, match=r"TET needs .*\[T, N, K\], got \(5, 3\)"):
        TETLoss(nn.CrossEntropyLoss())(torch.zeros(5, 3), torch.zeros(5, dtype=torch.long))


def test_the_weight_is_a_share():
    with pytest.raises(OptionError, match="between 0 and 1, got 2"):
        TETLoss(nn.CrossEntropyLoss(), weight=2)
