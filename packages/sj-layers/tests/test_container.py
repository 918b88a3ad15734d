"""Containers that fold time."""

import pytest
import torch
from torch import nn

import sj_layers as layer
from sj_neurons import functional, neuron


def test_plain_modules_see_time_folded_into_the_batch():
    torch.manual_seed(0)
    conv, norm = nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4)
    x = torch.rand(2, 3, 1, 8, 8)
    expected = conv(x.flatten(0, 1))
    expected = nn.functional.batch_norm(expected, None, None, training=True)
    y = layer.SeqToANNContainer(conv, norm)(x)
    torch.testing.assert_close(y, expected.unflatten(0, (2, 3)))


def test_set_step_mode_leaves_the_children_alone():
    net = nn.Sequential(layer.SeqToANNContainer(layer.Conv2d(1, 1, 1)), neuron.IFNode())
    functional.set_step_mode(net, "m")
    assert net[0][0].step_mode == "s"
    with pytest.raises(ValueError, match="step_mode can only be"):
        functional.set_step_mode(net, "s")


def test_children_with_state_or_own_time_axis_are_refused():
    with pytest.raises(ValueError, match="IFNode keeps state"):
        layer.SeqToANNContainer(nn.Sequential(nn.Linear(1, 1), neuron.IFNode()))
    with pytest.raises(ValueError, match="Conv2d must be in step mode 's'"):
        layer.SeqToANNContainer(layer.Conv2d(1, 1, 1, step_mode="m"))
