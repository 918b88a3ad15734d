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


def test_whole_channels_are_dropped():
    torch.manual_seed(0)
    y = layer.Dropout2d(0.5, step_mode="m")(torch.ones(3, 8, 16, 4, 4))
    assert (y == y[0]).all()
    assert (y == y[..., :1, :1]).all()
    torch.testing.assert_close(y.unique(), torch.tensor([0.0, 2.0]))
    assert repr(layer.Dropout2d()) == "Dropout2d(p=0.2)"


def test_connections_are_dropped_for_each_sample():
    torch.manual_seed(0)
    node = layer.DropConnectLinear(6, 200, p=0.25, invariant=True, activation=None, step_mode="m")
    x = torch.rand(3, 5, 6)
    y = node(x)
    mask, bias_mask = node.weight_mask, node.bias_mask
    assert 0.7 < mask.mean() < 0.8
    assert not torch.equal(mask[0], mask[1])
    expected = torch.stack(
        [
            torch.stack([(m * node.weight) @ v + b * node.bias for m, b, v in rows])
            for rows in (zip(mask, bias_mask, step, strict=True) for step in x)
        ]
    )
    torch.testing.assert_close(y, expected)
    node(x)
    assert node.weight_mask is mask
    with pytest.raises(ValueError, match="2 samples do not match the masks of 5"):
        node(x[:, :2])
    node.reset()
    assert node.weight_mask is None
    y.sum().backward()
    assert node.weight.grad is not None


def test_without_invariance_every_step_draws_anew():
    node = layer.DropConnectLinear(4, 50)
    x = torch.ones(2, 4)
    node(x)
    first = node.weight_mask
    node(x)
    assert not torch.equal(node.weight_mask, first)


@pytest.mark.parametrize("bias", [True, False])
def test_evaluation_matches_the_moments_of_all_masks(bias):
    torch.manual_seed(0)
    node = layer.DropConnectLinear(30, 4, bias, p=0.3, samples_num=20_000, activation=None)
    x = torch.rand(2, 30)
    expected = 0.7 * torch.nn.functional.linear(x, node.weight, node.bias)
    torch.testing.assert_close(node.eval()(x), expected, rtol=0, atol=0.02)
    node.activation = torch.nn.ReLU()
    assert (node(x) >= 0).all()
    node.train()
    drawn = torch.stack([node(x) for _ in range(4000)]).mean(0)
    torch.testing.assert_close(node.eval()(x), drawn, rtol=0, atol=0.03)
