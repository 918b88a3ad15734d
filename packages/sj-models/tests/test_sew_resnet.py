"""SEW ResNets: how branch and shortcut are connected."""

import copy
import pickle

import pytest
import torch

from sj_models import resnet_parts, sew_resnet
from sj_models.sew_resnet import BasicBlock, Bottleneck, SEWResNet, connected
from sj_neurons import functional, neuron, surrogate

IF = {"spiking_neuron": neuron.IFNode, "surrogate_function": surrogate.ATan()}


def small_net(block=BasicBlock, **arguments) -> SEWResNet:
    torch.manual_seed(0)
    net = SEWResNet(block, [1, 1, 1, 1], num_classes=5, **{**IF, **arguments})
    functional.set_step_mode(net, "m")
    return net


@pytest.mark.parametrize(
    ("connect", "truth"),
    [("ADD", [0, 1, 1, 2]), ("AND", [0, 0, 0, 1]), ("IAND", [0, 1, 0, 0])],
)
def test_connections_of_spikes(connect, truth):
    branch, shortcut = torch.tensor([0.0, 0, 1, 1]), torch.tensor([0.0, 1, 0, 1])
    assert connected(branch, shortcut, connect).tolist() == truth


def test_iand_swapped():
    branch, shortcut = torch.tensor([0.0, 0, 1, 1]), torch.tensor([0.0, 1, 0, 1])
    assert connected(branch, shortcut, "IAND", swapped=True).tolist() == [0, 0, 1, 0]


@pytest.mark.parametrize("block", [BasicBlock, Bottleneck])
@pytest.mark.parametrize("connect", ["ADD", "AND", "IAND"])
def test_a_block_connects_its_neurons(block, connect):
    net = small_net(block, cnf=connect).eval()
    seen = {}
    first = net.layer2[0]
    handles = [
        part.register_forward_hook(lambda m, args, y, name=name: seen.__setitem__(name, y))
        for name, part in {"branch": first.last_neuron, "shortcut": first.downsample_sn}.items()
    ]
    y = first(3 * torch.rand(2, 1, first.conv1.in_channels, 8, 8))
    for handle in handles:
        handle.remove()
    assert torch.equal(y, connected(seen["branch"], seen["shortcut"], connect))
    assert connect == "ADD" or set(y.unique().tolist()) <= {0.0, 1.0}


def test_only_bottlenecks_are_swapped():
    x = 3 * torch.rand(2, 1, 64, 8, 8)
    for block, differs in ((BasicBlock, False), (Bottleneck, True)):
        ours = small_net(block, cnf="IAND").layer1[0]
        theirs = small_net(block, cnf="IAND", swapped_bottleneck=True).layer1[0]
        assert ("swapped" in repr(theirs)) is differs
        with torch.no_grad():
            assert torch.equal(ours(x), theirs(x)) is not differs


def test_the_connection_has_two_names_and_a_default():
    assert small_net().layer1[0].connect == "ADD"
    assert small_net(connect_f="AND").layer1[0].connect == "AND"
    assert small_net(cnf="IAND", connect_f="IAND").layer1[0].connect == "IAND"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"cnf": "IADN"}, r"must be one of .*'IADN'; did you mean 'IAND'"),
        ({"cnf": "add"}, r"did you mean 'ADD'"),
        ({"cnf": "ADD", "connect_f": "AND"}, "are the same setting"),
        ({"num_classes": 0}, "num_classes must be"),
    ],
)
def test_mistakes_are_found_at_construction(arguments, message):
    with pytest.raises(ValueError, match=message):
        SEWResNet(BasicBlock, [1, 1, 1, 1], **{**IF, **arguments})


def test_blocks_of_other_families_are_refused():
    with pytest.raises(TypeError, match="block must be BasicBlock or Bottleneck of sew_resnet"):
        SEWResNet(resnet_parts.BasicBlock, [1, 1, 1, 1], **IF)


def test_a_missing_neuron_is_found_at_construction():
    with pytest.raises(TypeError, match="SEWResNet: spiking_neuron must be"):
        sew_resnet.sew_resnet18()


@pytest.mark.parametrize(("connect", "passes"), [("ADD", True), ("IAND", True), ("AND", False)])
def test_a_silent_branch(connect, passes):
    net = small_net(cnf=connect, zero_init_residual=True).eval()
    x = (torch.rand(2, 1, 64, 8, 8) > 0.5).float()
    assert torch.equal(net.layer1[0](x), x if passes else torch.zeros_like(x))


def test_copies_pickles_and_learns():
    net = small_net(cnf="IAND")
    x = torch.rand(3, 2, 3, 32, 32)
    twins = (copy.deepcopy(net), pickle.loads(pickle.dumps(net)))
    y = net(x)
    y.sum().backward()
    assert all(parameter.grad is not None for parameter in net.parameters())
    for twin in twins:
        assert torch.equal(twin(x), y)
