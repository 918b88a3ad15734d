"""STBIFNeuron: in the end it has counted what a quantizer would have put out."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sj_neurons import neuron


@pytest.mark.parametrize("sym", [True, False])
@given(
    level=st.integers(2, 9),
    q_threshold=st.sampled_from([0.25, 0.5, 2.0]),
    currents=st.lists(st.integers(-20, 20), min_size=1, max_size=6),
)
def test_it_settles_at_the_clamped_and_rounded_sum(sym, level, q_threshold, currents):
    node = neuron.STBIFNeuron(q_threshold, level, sym, step_mode="m")
    x = torch.zeros(len(currents) + 80, 1, dtype=torch.float64)
    x[: len(currents), 0] = q_threshold * (torch.tensor(currents, dtype=torch.float64) + 0.1) / 4
    y = node(x)
    low, high = (-((level + 1) // 2), level // 2 - 1) if sym else (0, level - 1)
    target = math.floor(x.sum().item() / q_threshold + 0.5)
    assert y.sum().item() == pytest.approx(q_threshold * min(max(target, low), high))
    assert node.acc_q.item() == min(max(target, low), high)
    assert set(y.unique().tolist()) <= {-q_threshold, 0.0, q_threshold}


def test_the_potential_is_the_rest_of_the_charge(oracle):
    x = oracle.x_seq(8, 2, 3, low=-3.0, high=3.0)
    node = neuron.STBIFNeuron(0.5, 16, True, step_mode="m", store_v_seq=True)
    y = node(x)
    torch.testing.assert_close(0.5 + x.sum(0) / 0.5 - y.sum(0) / 0.5, node.q)
    assert torch.equal(node.v_seq[-1], node.q)
    node.reset()
    assert (node.q, node.acc_q) == (0.5, 0.0)


def test_nan_never_fires_and_stays():
    node = neuron.STBIFNeuron(1.0, 4, step_mode="m")
    assert node(torch.tensor([[math.nan], [5.0]])).eq(0).all()
    assert node.q.isnan().all()


def test_nothing_has_a_gradient():
    node = neuron.STBIFNeuron(1.0, 4, step_mode="m")
    y = node(torch.rand(4, 2, requires_grad=True))
    assert not y.requires_grad and not node.q.requires_grad


def test_a_threshold_per_channel_is_a_buffer():
    node = neuron.STBIFNeuron(torch.tensor([0.5, 1.0]), 4)
    assert node(torch.full((1, 2), 0.3)).tolist() == [[0.5, 0.0]]
    assert set(node.state_dict()) == {"q_threshold"}
    assert node.half().q_threshold.dtype == torch.float16
    assert "q_threshold=tensor(2,), level=4, sym=False, pos_max=3.0, neg_min=0.0" in repr(node)


def test_bounds_may_be_given():
    node = neuron.STBIFNeuron(1.0, 4, pos_max=1, neg_min=-1, step_mode="m")
    assert node(torch.tensor([[5.0], [0.0], [0.0]])).flatten().tolist() == [1.0, 0.0, 0.0]


def test_hooks_of_a_subclass_are_used(oracle):
    class Same(neuron.STBIFNeuron):
        def neuronal_charge(self, x):
            super().neuronal_charge(x)

    x = oracle.x_seq(8, 2, 3, low=-3.0, high=3.0)
    plain, same = neuron.STBIFNeuron(0.5, 8, True, step_mode="m"), Same(0.5, 8, True)
    assert torch.equal(torch.stack([same(x_t) for x_t in x]), plain(x))
    assert torch.equal(same.q, plain.q) and torch.equal(same.acc_q, plain.acc_q)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((0.0, 4), ValueError, "STBIFNeuron: q_threshold must be greater than 0"),
        ((torch.tensor([1.0, -1.0]), 4), ValueError, "q_threshold must be greater than 0"),
        (("1", 4), TypeError, "q_threshold must be a number"),
        ((1.0, 4.5), TypeError, "level must be a whole number"),
        ((1.0, 1), ValueError, "at least 2 levels"),
        ((1.0, 4, False, 0, 0), ValueError, "neg_min < pos_max"),
        ((1.0, 4, False, "3"), TypeError, "pos_max must be a number"),
    ],
)
def test_bad_arguments_are_named(arguments, error, message):
    with pytest.raises(error, match=message):
        neuron.STBIFNeuron(*arguments)
