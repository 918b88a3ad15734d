from __future__ import annotations

import pytest
import torch
from torch import nn

from sj_neurons import functional, neuron
from sj_train.firing_rates import SpikeProbe


class Looped(nn.Module):
    """Runs single-step neurons over time."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x):
        return torch.stack([self.net(x_t) for x_t in x])


@pytest.fixture
def x() -> torch.Tensor:
    return torch.full((6, 2, 3), 0.5)  # a neuron with threshold 1 fires every second step


def test_rates_and_spikes_of_multi_step_neurons(x):
    net = nn.Sequential(neuron.IFNode(step_mode="m"), nn.Identity())
    probe = SpikeProbe(net)
    probe.arm(keep=True)
    y = net(x)
    assert probe.rates == {"0": 0.5}
    assert torch.equal(probe.spikes["0"], y[:, 0])
    functional.reset_net(net)
    net(2 * x)  # no longer watched
    assert probe.rates == {"0": 0.5}


def test_single_step_neurons_give_the_same(x):
    net = Looped(nn.Sequential(neuron.IFNode()))
    probe = SpikeProbe(net)
    probe.arm(keep=True)
    y = net(x)
    assert probe.rates == {"net.0": 0.5}
    assert torch.equal(probe.spikes["net.0"], y[:, 0])


def test_a_net_that_is_one_neuron(x):
    node = neuron.IFNode(step_mode="m")
    probe = SpikeProbe(node)
    probe.arm()
    node(x)
    assert (probe.rates, probe.spikes) == ({"IFNode": 0.5}, {})


def test_disarmed_probes_leave_no_hook(x):
    net = nn.Sequential(neuron.IFNode(step_mode="m"))
    probe = SpikeProbe(net)
    probe.arm()
    probe.arm()
    probe.disarm()
    assert not net._forward_hooks and not net[0]._forward_hooks
    net(x)
    assert probe.rates == {}


def test_of_many_neurons_some_of_every_channel_are_kept():
    net = nn.Sequential(neuron.IFNode(step_mode="m"))
    probe = SpikeProbe(net)
    probe.arm(keep=True)
    x = torch.zeros(3, 2, 10, 4, 4)
    x[:, :, 9] = 1  # the last channel fires, the others never
    net(x)
    assert probe.spikes["0"].shape == (3, 64)
    assert 0 < probe.spikes["0"].sum() < 3 * 10
