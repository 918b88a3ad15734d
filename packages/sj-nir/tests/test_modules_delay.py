from __future__ import annotations

import copy

import pytest
import torch

from sj_layers import Delay as PlainDelay
from sj_nir.modules import Delay

STEPS = torch.tensor([[0, 2], [5, 1]])


@pytest.fixture
def x_seq() -> torch.Tensor:
    return torch.rand(8, 3, 2, 2, generator=torch.Generator().manual_seed(0))


def test_sequences_may_come_in_pieces(x_seq):
    whole = Delay(STEPS, step_mode="m")
    expected = whole(x_seq)
    pieces, single = Delay(STEPS, step_mode="m"), Delay(STEPS)
    assert torch.equal(torch.cat([pieces(x_seq[:3]), pieces(x_seq[3:])]), expected)
    assert torch.equal(torch.stack([single(x) for x in x_seq]), expected)
    assert torch.equal(single.queue, whole.queue)
    whole.reset()
    assert whole.queue == [] and torch.equal(whole(x_seq), expected)


def test_equal_delays_are_the_plain_layer(x_seq):
    ours = Delay(torch.full((2, 2), 3), step_mode="m")
    assert torch.equal(ours(x_seq), PlainDelay(3, step_mode="m")(x_seq))


def test_gradients_come_back_in_time(x_seq):
    x = x_seq.clone().requires_grad_()
    Delay(STEPS, step_mode="m")(x).sum().backward()
    counted = torch.ones_like(x)
    for place in ((0, 1), (1, 0), (1, 1)):
        counted[len(x) - int(STEPS[place]) :, :, place[0], place[1]] = 0
    assert torch.equal(x.grad, counted)


def test_copies_and_saved_delays(x_seq):
    node = Delay(STEPS, step_mode="m")
    node(x_seq)
    assert torch.equal(copy.deepcopy(node)(x_seq), node(x_seq))
    other = Delay(torch.zeros_like(STEPS), step_mode="m")
    other.load_state_dict(node.state_dict())
    assert other.longest == 5
    assert repr(other) == "Delay(elements=(2, 2), longest=5, step_mode=m)"


def test_the_past_does_not_keep_its_graph_after_detach(x_seq):
    node = Delay(STEPS, step_mode="m")
    node(x_seq.clone().requires_grad_())
    node.detach()
    assert not node.queue.requires_grad


@pytest.mark.parametrize(
    ("steps", "error", "message"),
    [
        (torch.tensor([0.5]), TypeError, "whole numbers, got torch.float32"),
        (torch.tensor([True]), TypeError, "whole numbers, got torch.bool"),
        (torch.tensor([1, -1]), ValueError, "must be 0 or more"),
        (torch.zeros(0, dtype=torch.int64), ValueError, "at least one"),
    ],
)
def test_other_delays_are_refused(steps, error, message):
    with pytest.raises(error, match=message):
        Delay(steps)


def test_other_shapes_are_refused(x_seq):
    node = Delay(STEPS, step_mode="m")
    for wrong in (x_seq[..., :1], x_seq[:0], x_seq[0]):
        with pytest.raises(ValueError, match=r"expected \[T, N, \*\] with samples \(2, 2\)"):
            node(wrong)
    node(x_seq)
    with pytest.raises(ValueError, match=r"input \(1, 2, 2\) does not match the state \(3, 2, 2\)"):
        node(x_seq[:, :1])
