"""Counts and random spikes."""

import math

import pytest
import torch

from sj_neurons import surrogate


def gradient_of(f, x: torch.Tensor) -> torch.Tensor:
    (grad,) = torch.autograd.grad(f(x).sum(), x)
    return grad


def test_spike_count_rounds_within_its_bounds():
    count = surrogate.MultiLevelSpikeCount(3)
    x = torch.tensor([-2.0, 0.4, 0.5, 0.6, 1.5, 2.5, 9.0, math.nan, math.inf])
    assert count(x).tolist() == [0, 0, 0, 1, 2, 2, 3, 0, 3]


def test_spike_count_passes_the_gradient_within_its_window_ends_included():
    x = torch.tensor([-0.6, -0.5, 0.0, 3.0, 3.5, 3.6], requires_grad=True)
    count = surrogate.MultiLevelSpikeCount(3, grad_window=(-0.5, 3.5))
    assert gradient_of(count, x).tolist() == [0, 1, 1, 1, 1, 0]
    assert gradient_of(surrogate.MultiLevelSpikeCount(3), x).tolist() == [0, 0, 1, 1, 0, 0]
    smooth = surrogate.MultiLevelSpikeCount(3, False, (-0.5, 3.5))
    assert gradient_of(smooth, x).tolist() == [0, 0, 1, 1, 0, 0]


def test_poisson_pass_fires_as_often_as_its_input_says():
    torch.manual_seed(0)
    p = torch.tensor([-1.0, 0.0, 0.25, 1.0, 7.0, math.nan])
    rate = surrogate.PoissonPass()(p.expand(20_000, -1)).mean(0)
    assert rate.tolist() == pytest.approx([0, 0, 0.25, 1, 1, 0], abs=0.02)
