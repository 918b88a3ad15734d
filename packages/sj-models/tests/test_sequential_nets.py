"""Networks for images read column by column."""

import pytest
import torch

import sj_layers as layer
from sj_models.sequential_nets import FeedBackNet, PlainNet, StatefulSynapseNet
from sj_neurons import neuron, surrogate

NETS = (PlainNet, StatefulSynapseNet, FeedBackNet)


@pytest.mark.parametrize("cls", NETS)
def test_firing_rates_of_columns_and_gradients(cls):
    net = cls()
    rates = net(3 * torch.rand(28, 2, 28))
    assert rates.shape == (2, 10)
    torch.testing.assert_close(rates * 28, (rates * 28).round())
    rates.sum().backward()
    assert all(parameter.grad is not None for parameter in net.parameters())


def test_layers_of_the_notes():
    plain, synapse, feedback = (cls().fc for cls in NETS)
    assert [type(m).__name__ for m in plain] == ["Linear", "IFNode"] * 2
    assert isinstance(synapse[2], layer.SynapseFilter)
    assert synapse[2].tau == pytest.approx(2.0)
    assert isinstance(feedback[1], layer.LinearRecurrentContainer)
    assert feedback[1].rc.weight.shape == (32, 64)
    nodes = [m for m in feedback.modules() if isinstance(m, neuron.IFNode)]
    assert [node.detach_reset for node in nodes] == [True, False]
    assert all(isinstance(node.surrogate_function, surrogate.ATan) for node in nodes)


def test_sizes_neuron_and_output():
    net = PlainNet(5, 7, 3, spiking_neuron="LIF", tau=3.0, output="steps")
    assert net(torch.rand(4, 2, 5)).shape == (4, 2, 3)
    assert net.fc[1].tau == 3.0
    assert isinstance(net.fc[1].surrogate_function, surrogate.ATan)


@pytest.mark.parametrize("arguments", [{"hidden": 0}, {"in_features": 1.5}, {"output": "sum"}])
def test_mistakes_are_found_at_construction(arguments):
    with pytest.raises(ValueError, match="PlainNet"):
        PlainNet(**arguments)
