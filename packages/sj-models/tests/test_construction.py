"""Layers without values, and the values they are given."""

import torch
from torch import nn

import sj_layers as layer
from sj_models.construction import blank, kaiming_normal


def test_a_blank_layer_lives_where_others_would():
    made = blank(layer.Conv2d, 2, 3, 3, bias=False, step_mode="m")
    assert (made.weight.device.type, made.step_mode) == ("cpu", "m")
    assert isinstance(made.weight, nn.Parameter)
    with torch.device("meta"):
        assert blank(nn.Linear, 2, 3).weight.is_meta


def test_every_value_is_set():
    net = nn.Sequential(
        blank(nn.Conv2d, 2, 64, 3), nn.BatchNorm2d(64), nn.GroupNorm(2, 64, affine=False),
        blank(nn.Linear, 100, 100),
    )  # fmt: skip
    for parameter in net.parameters():
        nn.init.constant_(parameter, torch.nan)
    kaiming_normal(net, linear_std=0.5)
    assert all(parameter.isfinite().all() for parameter in net.parameters())
    assert (net[1].weight == 1).all()
    assert all((part.bias == 0).all() for part in (net[0], net[1], net[3]))
    assert 0.45 < net[3].weight.std() < 0.55


def test_linear_layers_may_stay():
    net = nn.Linear(2, 2)
    before = net.weight.clone()
    kaiming_normal(net)
    assert torch.equal(net.weight, before)
