"""One mask for all time steps."""

import pytest
import torch

import sj_layers as layer

T, N = 6, 400


@pytest.fixture
def x_seq() -> torch.Tensor:
    torch.manual_seed(0)
    return torch.ones(T, N)


def test_all_steps_share_one_scaled_mask(x_seq):
    drop = layer.Dropout(0.25, step_mode="m")
    y = drop(x_seq)
    assert (y == y[0]).all()
    torch.testing.assert_close(y[0].unique(), torch.tensor([0.0, 1 / 0.75]))
    assert 0.15 < (y[0] == 0).float().mean() < 0.35
    assert torch.equal(drop(x_seq), y)


def test_single_steps_use_the_same_mask_until_reset(x_seq):
    drop = layer.Dropout(0.5)
    first = drop(x_seq[0])
    assert torch.equal(drop(x_seq[1]), first)
    drop.reset()
    assert drop.mask is None
    assert not torch.equal(drop(x_seq[0]), first)


def test_eval_is_the_identity(x_seq):
    assert torch.equal(layer.Dropout(0.9, step_mode="m").eval()(x_seq), x_seq)


def test_new_shape_without_reset_is_refused(x_seq):
    drop = layer.Dropout(step_mode="m")
    drop(x_seq)
    with pytest.raises(ValueError, match=r"input \(3,\).*mask \(400,\).*reset\(\)"):
        drop(x_seq[:, :3])


@pytest.mark.parametrize("p", [-0.1, 1.0, float("nan")])
def test_probability_out_of_range_is_refused(p):
    with pytest.raises(ValueError, match=r"p must be in \[0, 1\)"):
        layer.Dropout(p)
