"""Folding time into the batch and back."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sj_models.time_axis import at_every_step, last_feature, map_features


@given(st.integers(1, 4), st.integers(0, 3), st.integers(1, 3))
def test_all_steps_at_once_equal_each_step_alone(t, n, c):
    x = torch.arange(float(t * n * c)).view(t, n, c)
    found = at_every_step("f", lambda step: step.cumsum(0)[:, :1].mul(0) + step * 2, x, "N, C")
    torch.testing.assert_close(found, 2 * x)


def test_without_time_the_function_gets_the_tensor_itself():
    x = torch.rand(2, 3)
    assert at_every_step("f", lambda tensor: tensor, x, "N, C") is x


@pytest.mark.parametrize("shape", [(3,), (1, 2, 3, 4)])
def test_another_rank_is_refused(shape):
    with pytest.raises(ValueError, match=r"f: expected \[N, C\] or \[T, N, C\], got shape"):
        at_every_step("f", torch.abs, torch.rand(shape), "N, C")


def test_tuples_stay_tuples_and_lists_are_refused():
    x = torch.ones(2)
    assert map_features("f", torch.neg, x).sum() == -2
    assert [y.sum().item() for y in map_features("f", torch.neg, (x, x))] == [-2, -2]
    with pytest.raises(TypeError, match="f: expected a tensor or a tuple, got list"):
        map_features("f", torch.neg, [x])


def test_last_feature():
    x = torch.ones(2)
    assert last_feature("f", x) is x
    assert last_feature("f", (0, x)) is x
    with pytest.raises(TypeError, match="f: expected a tensor or a tuple, got dict"):
        last_feature("f", {})
    with pytest.raises(ValueError, match="empty"):
        last_feature("f", ())
