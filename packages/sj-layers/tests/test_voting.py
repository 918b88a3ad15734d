"""Groups of units that vote."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sj_layers.voting import VotingLayer
from sj_neurons import functional


@given(size=st.integers(1, 5), groups=st.integers(1, 4), left_over=st.integers(0, 2))
def test_votes_are_means_of_neighbours(size, groups, left_over):
    torch.manual_seed(0)
    x = torch.rand(3, 2, size * groups + min(left_over, size - 1)).double()
    for mode in ("s", "m"):
        y = VotingLayer(size, step_mode=mode)(x)
        torch.testing.assert_close(y, torch.nn.functional.avg_pool1d(x, size))


def test_both_modes_vote_alike():
    x = torch.rand(4, 2, 20)
    net = VotingLayer()
    expected = torch.stack([net(x_t) for x_t in x])
    functional.set_step_mode(net, "m")
    assert torch.equal(net(x), expected)
    assert expected.shape == (4, 2, 2)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_types_and_gradients(dtype):
    x = torch.rand(2, 6).to(dtype).requires_grad_()
    y = VotingLayer(3)(x)
    y.sum().backward()
    assert y.dtype == dtype
    torch.testing.assert_close(x.grad, torch.full_like(x, 1 / 3))


def test_compiles_without_graph_break():
    x = torch.rand(2, 6)
    compiled = torch.compile(VotingLayer(3), fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(x), VotingLayer(3)(x))


def test_bad_arguments_are_refused():
    with pytest.raises(ValueError, match="voting_size must be at least 1, got 0"):
        VotingLayer(0)
    with pytest.raises(ValueError, match=r"at least 10 units in the last axis, got shape \(2, 9\)"):
        VotingLayer()(torch.rand(2, 9))
    with pytest.raises(ValueError, match=r"got shape \(\)"):
        VotingLayer()(torch.tensor(1.0))


def test_repr():
    assert repr(VotingLayer(5, "m")) == "VotingLayer(voting_size=5, step_mode=m)"
