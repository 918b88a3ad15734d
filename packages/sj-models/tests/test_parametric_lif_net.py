"""The PLIF paper's networks."""

import pytest
import torch

from sj_models import parametric_lif_net
from sj_models.parametric_lif_net import DVSGestureNet, MNISTNet, VotingNet
from sj_neurons import functional, neuron, surrogate

SHAPES = {
    "MNISTNet": ((1, 28, 28), 10),
    "FashionMNISTNet": ((1, 28, 28), 10),
    "NMNISTNet": ((2, 34, 34), 10),
    "CIFAR10Net": ((3, 32, 32), 10),
    "CIFAR10DVSNet": ((2, 128, 128), 10),
    "DVSGestureNet": ((2, 128, 128), 11),
}


def test_every_net_is_tested():
    assert set(parametric_lif_net.__all__) - {"VotingNet"} == set(SHAPES)


@pytest.mark.parametrize("name", SHAPES)
def test_votes_are_shares_of_ten_neurons(name):
    shape, classes = SHAPES[name]
    net: VotingNet = getattr(parametric_lif_net, name)(2, spiking_neuron=neuron.LIFNode)
    functional.set_step_mode(net, "m")
    y = net(3 * torch.rand(2, 1, *shape))
    assert y.shape == (2, 1, classes)
    torch.testing.assert_close(10 * y, (10 * y).round())


def test_layers_of_the_notes():
    arguments = {"surrogate_function": surrogate.ATan(), "detach_reset": True}
    net = DVSGestureNet(channels=4, spiking_neuron=neuron.LIFNode, **arguments)
    kinds = [type(m).__name__ for m in net.conv_fc]
    block = ["Conv2d", "BatchNorm2d", "LIFNode", "MaxPool2d"]
    linear = ["Dropout", "Linear", "LIFNode"]
    assert kinds == [*block * 5, "Flatten", *linear * 2, "VotingLayer"]
    nodes = [m for m in net.modules() if isinstance(m, neuron.LIFNode)]
    assert all(node.detach_reset for node in nodes)
    assert len({id(node.surrogate_function) for node in nodes}) == 7


def test_parametric_neurons_add_one_parameter_each():
    plain, parametric = (MNISTNet(2, spiking_neuron=kind) for kind in ("IF", "PLIF"))
    added = set(parametric.state_dict()) - set(plain.state_dict())
    assert added == {f"conv_fc.{index}.w" for index in (2, 6, 11, 14)}


def test_other_classes_and_channels():
    net = MNISTNet(2, "IF", in_channels=3, num_classes=4)
    assert net(torch.rand(2, 3, 28, 28)).shape == (2, 4)
    assert net.last_layer == "conv_fc.13"
    assert net.conv_fc[13].out_features == 40


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({}, TypeError, "MNISTNet: spiking_neuron must be"),
        ({"spiking_neuron": "IF", "channels": 0}, ValueError, "MNISTNet: channels must be"),
        ({"spiking_neuron": "IF", "tau": 2.0}, TypeError, "IFNode takes no argument 'tau'"),
        ({"spiking_neuron": "IF", "output": "all"}, ValueError, "output must be one of"),
    ],
)
def test_mistakes_are_found_at_construction(arguments, error, message):
    with pytest.raises(error, match=message):
        MNISTNet(**arguments)


@pytest.mark.parametrize("size", [(64, 64), (128, 160)])
def test_images_of_another_size_are_refused(size):
    net = DVSGestureNet(2, spiking_neuron="IF")
    with pytest.raises(ValueError, match="DVSGestureNet: expected images of 128 x 128 pixels"):
        net(torch.rand(1, 2, *size))
