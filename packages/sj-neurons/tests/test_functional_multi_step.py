"""Sequences through modules, and shifts in time."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from sj_neurons import functional, neuron


@pytest.fixture
def x() -> torch.Tensor:
    return 2 * torch.rand(7, 2, 3, generator=torch.Generator().manual_seed(0))


def test_a_sequence_runs_through_single_step_modules(x):
    net = nn.Sequential(nn.Linear(3, 4), neuron.IFNode(), nn.Linear(4, 2), neuron.LIFNode())
    y = functional.multi_step_forward(x, net)
    functional.reset_net(net)
    z = functional.multi_step_forward(x, list(net))
    functional.reset_net(net)
    functional.set_step_mode(net, "m")
    assert torch.equal(y, z)
    torch.testing.assert_close(net(x), y)


def test_several_outputs_are_stacked_one_by_one(x):
    double, square = functional.multi_step_forward(x, lambda x: (2 * x, x * x))
    assert torch.equal(double, 2 * x)
    assert torch.equal(square, x * x)


@pytest.mark.parametrize("split_size", [1, 3, 7, 9])
def test_pieces_of_a_sequence_give_the_whole(x, split_size):
    node = neuron.LIFNode(step_mode="m")
    whole = node(x)
    node.reset()
    pieces = functional.chunk_multi_step_forward(split_size, x, (node, lambda s: (s, 1 - s)))
    assert torch.equal(pieces[0], whole)
    assert torch.equal(pieces[1], 1 - whole)


def test_time_is_folded_into_the_batch_for_stateless_modules(x):
    linear = nn.Linear(3, 5)
    y = functional.seq_to_ann_forward(x, (linear, nn.ReLU()))
    torch.testing.assert_close(y, linear(x).relu())
    both = functional.seq_to_ann_forward((x, x), lambda pair: (pair[0] + pair[1], pair[0]))
    assert torch.equal(both[0], 2 * x) and torch.equal(both[1], x)
    with pytest.raises(ValueError, match=r"share \[T, N\].*\(7, 2, 3\), \(3, 2, 3\)"):
        functional.seq_to_ann_forward((x, x[:3]), lambda pair: pair[0])


def test_time_last_is_time_first_with_the_axis_moved(x):
    last = x.movedim(0, -1)
    linear, node = nn.Linear(3, 5), neuron.LIFNode()
    spikes = functional.multi_step_forward(x, node)
    node.reset()
    assert torch.equal(functional.t_last_multi_step_forward(last, node), spikes.movedim(0, -1))
    y = functional.t_last_seq_to_ann_forward(last, linear)
    torch.testing.assert_close(y, linear(x).movedim(0, -1))
    total, first = functional.t_last_seq_to_ann_forward((last, last), lambda p: (p[0] + p[1], p[0]))
    assert torch.equal(total, 2 * last) and torch.equal(first, last)


@pytest.mark.parametrize(
    "call",
    [
        lambda x: functional.multi_step_forward(x, nn.Identity()),
        lambda x: functional.chunk_multi_step_forward(2, x, nn.Identity()),
        lambda x: functional.t_last_multi_step_forward(x.movedim(0, -1), nn.Identity()),
    ],
)
def test_no_time_steps_is_an_error(x, call):
    with pytest.raises(ValueError, match="T > 0"):
        call(x[:0])


def test_a_piece_has_at_least_one_step(x):
    with pytest.raises(ValueError, match="split_size must be 1 step or more, got 0"):
        functional.chunk_multi_step_forward(0, x, nn.Identity())


@given(st.integers(0, 6), st.integers(0, 8))
def test_a_delay_moves_steps_and_keeps_the_length(T, delay_steps):
    x = torch.arange(1.0, T + 1).unsqueeze(1).requires_grad_()
    y = functional.delay(x, delay_steps)
    expected = [t + 1 - delay_steps if t >= delay_steps else 0 for t in range(T)]
    assert y.flatten().tolist() == expected
    y.sum().backward()
    assert x.grad is not None
    assert x.grad.flatten().tolist() == [float(t + delay_steps < T) for t in range(T)]


def test_a_negative_delay_is_refused(x):
    with pytest.raises(ValueError, match="delay_steps must be 0 or more, got -1"):
        functional.delay(x, -1)
