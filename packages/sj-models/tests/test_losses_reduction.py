from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from sj_models.losses import L1Loss, ReducedLoss, reduce, weighted_loss

LOSS = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])


@given(st.integers(1, 5), st.integers(1, 5), st.floats(0.5, 8))
def test_mean_is_the_sum_over_the_number_of_elements_or_the_factor(n, k, factor):
    loss = torch.arange(float(n * k)).view(n, k)
    weight = torch.linspace(0, 2, n)[:, None]
    total = reduce(loss, weight, "sum")
    torch.testing.assert_close(reduce(loss, weight, "mean"), total / (n * k))
    torch.testing.assert_close(reduce(loss, weight, "mean", factor), total / factor)
    torch.testing.assert_close(reduce(loss, weight, "none", factor), loss * weight)


def test_average_factor_may_be_a_tensor():
    factor = torch.tensor(3.0, requires_grad=True)
    assert reduce(LOSS, avg_factor=factor).item() == 7


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"reduction": "max"}, "reduction must be one of .*got 'max'"),
        ({"avg_factor": 0}, "avg_factor must be above 0, got 0"),
        ({"avg_factor": float("nan")}, "avg_factor must be above 0, got nan"),
        ({"avg_factor": 2, "reduction": "sum"}, "avg_factor can not be used"),
        ({"weight": torch.ones(2)}, r"weight of shape \(2,\) does not broadcast"),
        ({"weight": torch.ones(1, 2, 3)}, "does not broadcast"),
    ],
)
def test_wrong_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        reduce(LOSS, **arguments)


def test_decorator_keeps_the_name_and_passes_options():
    @weighted_loss
    def power_loss(pred, target, exponent=2):
        """Powers."""
        return (pred - target).abs() ** exponent

    assert (power_loss.__name__, power_loss.__doc__) == ("power_loss", "Powers.")
    zero = torch.zeros(2, 3)
    assert power_loss(LOSS, zero, reduction="sum", exponent=1).item() == 21
    torch.testing.assert_close(power_loss(LOSS, zero), LOSS.square().mean())


def test_a_weight_per_sample_meets_samples_even_where_there_are_as_many_classes():
    loss = L1Loss(reduction="none")
    weight = torch.tensor([1.0, 0.0])
    found = loss(torch.ones(2, 2), torch.zeros(2, 2), weight)
    assert found.tolist() == [[1.0, 1.0], [0.0, 0.0]]
    wrong = torch.ones(3)
    with pytest.raises(ValueError, match="does not broadcast"):
        loss(torch.ones(2, 3), torch.zeros(2, 3), wrong)


def test_override_wins_and_loss_weight_scales():
    loss = L1Loss(reduction="sum", loss_weight=0.5)
    pred, target = torch.ones(2, 3), torch.zeros(2, 3)
    assert loss(pred, target).item() == 3
    assert loss(pred, target, reduction_override="mean").item() == 0.5
    with pytest.raises(ValueError, match="L1Loss: reduction_override must be one of"):
        loss(pred, target, reduction_override="max")
    with pytest.raises(ValueError, match="L1Loss: reduction must be one of"):
        L1Loss("max")


def test_a_new_loss_is_one_method():
    class SquaredError(ReducedLoss):
        def element_loss(self, pred, target):
            return (pred - target) ** 2

    pred, target = torch.rand(2, 3), torch.rand(2, 3)
    torch.testing.assert_close(SquaredError()(pred, target), F.mse_loss(pred, target))
    assert repr(SquaredError()) == "SquaredError(reduction='mean', loss_weight=1.0)"
    with pytest.raises(NotImplementedError, match="ReducedLoss does not define element_loss"):
        ReducedLoss()(pred, target)
