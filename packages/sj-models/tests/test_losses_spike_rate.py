from __future__ import annotations

import pytest
import torch
from torch import nn

from sj_models.losses import SpikeRateLoss
from sj_neurons import functional, neuron


def test_mean_squared_distance_over_layers():
    loss = SpikeRateLoss(target=0.2, weight=3.0)
    rates = [torch.tensor(0.1), torch.tensor(0.5)]
    assert loss(rates).item() == pytest.approx(3 * (0.01 + 0.09) / 2)
    assert loss({"a": rates[0], "b": rates[1]}) == loss(rates)


def test_it_drives_a_net_to_its_target():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 32), neuron.IFNode(detach_reset=True, step_mode="m"))
    loss = SpikeRateLoss(target=0.3)
    optimizer = torch.optim.Adam(net.parameters(), 0.05)
    x = torch.rand(8, 4, 4)
    for _ in range(40):
        functional.reset_net(net)
        with loss.watch(net) as rates:
            net(x)
        found = loss(rates.of_layers())
        optimizer.zero_grad()
        found.backward()
        optimizer.step()
    assert rates.of_layers()["1"].item() == pytest.approx(0.3, abs=0.1)


def test_errors_and_repr():
    with pytest.raises(ValueError, match="target must be 0 or more spikes, got -1"):
        SpikeRateLoss(-1)
    with pytest.raises(ValueError, match=r"no rates; run the net inside watch\(net\)"):
        SpikeRateLoss()({})
    assert repr(SpikeRateLoss(0.2)) == "SpikeRateLoss(target=0.2, weight=1.0)"
