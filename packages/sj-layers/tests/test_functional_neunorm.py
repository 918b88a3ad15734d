"""Neuron normalisation as a pure function of one step."""

import torch

from sj_layers import functional
from sj_layers.norm import NeuNorm


def test_a_step_is_the_step_of_the_class():
    spikes = (torch.rand(3, 2, 4, 5, 5) < 0.5).float()
    norm, state = NeuNorm(4, 5, 5, k=0.8), torch.zeros(2, 1, 5, 5)
    for s in spikes:
        y, state = functional.neunorm_step(s, state, norm.w, 0.8, 0.2 / 16)
        torch.testing.assert_close(y, norm(s))
        torch.testing.assert_close(state, norm.x)
