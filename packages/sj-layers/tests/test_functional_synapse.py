"""Filters and delays as pure functions of one step."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sj_layers import functional
from sj_layers.synapse import Delay, SynapseFilter


def test_a_filter_step_is_the_step_of_the_class():
    x, out = torch.rand(4, 2, 3).double(), torch.zeros(2, 3).double()
    synapse = SynapseFilter(tau=3.0)
    for x_t in x:
        out = functional.synapse_filter_step(x_t, out, 1 / 3)
        assert torch.equal(out, synapse(x_t))


def test_a_filter_differentiates_to_all_its_arguments():
    x, out = torch.rand(2, 3).double(), torch.rand(2, 3).double()
    arguments = [x.requires_grad_(), out.requires_grad_(), torch.tensor(0.3).double()]
    arguments[2].requires_grad_()
    assert torch.autograd.gradcheck(functional.synapse_filter_step, arguments)


@given(steps=st.integers(1, 8), delay_steps=st.integers(0, 9))
def test_delay_steps_are_the_steps_of_the_class(steps, delay_steps):
    delay, queue = Delay(delay_steps), ()
    for t in range(steps):
        x = torch.full((1,), float(t + 1))
        y, queue = functional.delay_step(x, queue, delay_steps)
        assert y.item() == max(0, t + 1 - delay_steps)
        assert torch.equal(y, delay(x))
        assert len(queue) == min(t + 1, delay_steps)


def test_a_negative_delay_is_refused():
    with pytest.raises(ValueError, match="delay_steps must be 0 or more, got -1"):
        functional.delay_step(torch.zeros(1), (), -1)
