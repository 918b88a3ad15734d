"""Initial weights."""

import math

import torch
from torch import nn

from sj_neurons import functional


def test_weights_are_normal_and_biases_stay():
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(8, 64, 3), nn.BatchNorm2d(64), nn.ConvTranspose1d(32, 64, 5), nn.Linear(64, 100)
    )
    before = {name: p.detach().clone() for name, p in net.named_parameters()}
    functional.kaiming_normal_conv_linear_weight(net)
    for name, p in net.named_parameters():
        assert torch.equal(p, before[name]) == (not name.endswith("weight") or name == "1.weight")
    for layer in (net[0], net[3]):
        fan_in = layer.weight[0].numel()
        assert math.isclose(layer.weight.std().item() * math.sqrt(3 * fan_in), 1, abs_tol=0.1)
