"""Stochastic depth."""

import pytest
import torch

from sj_models.backbones.drop_path import DropPath, drop_path_rates


def test_a_sample_is_dropped_at_all_time_steps_or_at_none():
    torch.manual_seed(0)
    drop = DropPath(0.5).train()
    drop.step_mode = "m"
    y = drop(torch.ones(3, 64, 2, 2))
    factors = y[:, :, 0, 0]
    assert torch.equal(factors, factors[:1].expand(3, -1))
    assert set(factors.unique().tolist()) == {0.0, 2.0}
    assert torch.equal(y, factors[:, :, None, None].expand_as(y))


def test_single_steps_drop_along_the_batch():
    torch.manual_seed(0)
    y = DropPath(0.25).train()(torch.ones(400, 2))
    assert torch.equal(y[:, 0], y[:, 1])
    assert (y[:, 0] > 0).float().mean().item() == pytest.approx(0.75, abs=0.1)


def test_nothing_is_dropped_in_evaluation_or_at_rate_0():
    x = torch.rand(2, 3)
    assert DropPath(0.9).eval()(x) is x
    assert DropPath(0.0).train()(x) is x
    assert "drop_prob=0.9" in repr(DropPath(0.9))


def test_rates_grow_from_0():
    assert drop_path_rates(0.2, 3) == pytest.approx([0.0, 0.1, 0.2])
    assert drop_path_rates(0.2, 1) == [0.0]


@pytest.mark.parametrize("rate", [-0.1, 1.0])
def test_rates_out_of_range(rate):
    with pytest.raises(ValueError, match="drop_prob must be in"):
        DropPath(rate)
