from __future__ import annotations

import pytest
import torch
from torch import nn

from sj_models.firing_rates import FiringRates
from sj_neurons import functional, neuron


def net() -> nn.Sequential:
    return nn.Sequential(neuron.IFNode(), nn.Sequential(nn.Identity(), neuron.IFNode()))


def test_both_step_modes_give_the_same_rates():
    x = torch.rand(6, 2, 5, generator=torch.Generator().manual_seed(0))
    single, multi = net(), net()
    functional.set_step_mode(multi, "m")
    with FiringRates(single) as one:
        for step in x:
            single(step)
    with FiringRates(multi) as all_steps:
        spikes = multi(x)
    assert list(all_steps.of_layers()) == ["0", "1.1"]
    torch.testing.assert_close(all_steps.of_layers()["1.1"], spikes.mean())
    torch.testing.assert_close(one.of_layers(), all_steps.of_layers())


def test_recording_ends_with_the_block():
    part = net()
    with FiringRates(part) as rates:
        part(torch.ones(1, 2))
    before = rates.of_layers()
    part(torch.zeros(1, 2))
    torch.testing.assert_close(rates.of_layers(), before)
    with rates:  # and starts anew with the next one
        part(torch.full((1, 2), -5.0))
    assert rates.of_layers()["0"] == 0


def test_graph_is_kept_only_if_asked_for():
    part = nn.Sequential(nn.Linear(2, 2), neuron.IFNode())
    for detach in (True, False):
        functional.reset_net(part)
        with FiringRates(part, detach=detach) as rates:
            part(torch.ones(1, 2))
        assert rates.of_layers()["1"].requires_grad is not detach


def test_neurons_over_all_steps_are_counted_too():
    part = nn.Sequential(neuron.PSN(T=3))
    with FiringRates(part) as rates:
        spikes = part(torch.rand(3, 2, 4))
    torch.testing.assert_close(rates.of_layers()["0"], spikes.mean().detach())


def test_errors():
    with (
        pytest.raises(ValueError, match="the net has no layer of type"),
        FiringRates(nn.Linear(1, 1)),
    ):
        pass
    with pytest.raises(RuntimeError, match="run the net inside"):
        FiringRates(net()).of_layers()
    rates = FiringRates(net())
    rates.__exit__()
    with rates, pytest.raises(RuntimeError, match="no firing rates"):
        rates.of_layers()
