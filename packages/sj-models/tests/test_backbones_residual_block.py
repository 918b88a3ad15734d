"""Residual blocks: how branch and shortcut meet."""

import pytest
import torch

from sj_models.backbones.layer_factory import ConvModule, LayerFactory
from sj_models.backbones.residual_block import BasicBlock, BlockOptions, Bottleneck, ConfiguredBlock
from sj_models.layers_from_config import activation_factory
from sj_neurons import functional

SHAPE = (3, 2, 8, 4, 4)


def layers(neuron="IF", norm_cfg=None):
    activation = activation_factory(neuron, {"type": "ReLU"}, owner="test")
    return LayerFactory(None, norm_cfg or {"type": "BN"}, activation, neuron is not None)


def block(kind=BasicBlock, neuron="IF", **options):
    torch.manual_seed(0)
    net = kind(8, 8, layers(neuron), BlockOptions(**options))
    functional.set_step_mode(net, "m" if neuron else "s")
    return net.eval()


def spikes(shape=SHAPE):
    return (torch.rand(shape, generator=torch.Generator().manual_seed(3)) > 0.5).float()


@pytest.mark.parametrize("kind", [BasicBlock, Bottleneck])
def test_sums_by_hand(kind):
    x = 2 * spikes()
    for residual in ("basic", "sew", "ms"):
        net = block(kind, residual=residual)
        convs = 2 if kind is BasicBlock else 3
        parts = [[getattr(net, f"{p}{i + 1}") for p in ("conv", "bn", "sn")] for i in range(convs)]
        y = x
        for index, (conv, norm, sn) in enumerate(parts):
            y = norm(conv(sn(y))) if residual == "ms" else norm(conv(y))
            if residual != "ms" and index < convs - 1:
                y = sn(y)
        last = parts[-1][2]
        expected = {
            "basic": lambda y=y, last=last: last(y + x),
            "sew": lambda y=y, last=last: last(y) + x,
            "ms": lambda y=y: y + x,
        }[residual]()
        functional.reset_net(net)
        torch.testing.assert_close(net(x), expected)


@pytest.mark.parametrize(("connect", "largest"), [("ADD", 2.0), ("AND", 1.0), ("IAND", 1.0)])
def test_connections_of_spikes(connect, largest):
    net = block(residual="sew", connect=connect)
    with torch.no_grad():
        net.bn2.weight.fill_(4.0)
    x = spikes()
    y = net(x)
    functional.reset_net(net)
    branch = net.last_neuron(net.branch(x))
    expected = {"ADD": branch + x, "AND": branch * x, "IAND": (1 - branch) * x}[connect]
    assert torch.equal(y, expected)
    assert y.max() <= largest and branch.any()
    assert f"connect='{connect}'" in repr(net)


def test_style_says_which_convolution_strides():
    for style, strides in (("pytorch", (1, 2, 1)), ("caffe", (2, 1, 1))):
        net = Bottleneck(8, 16, layers(), BlockOptions(style=style), stride=2, dilation=2)
        assert tuple(getattr(net, f"conv{i}").stride[0] for i in (1, 2, 3)) == strides
        assert net.conv2.dilation == net.conv2.padding == (2, 2)
        assert net.conv1.out_channels == 4


def test_names_follow_the_norm_and_the_nonlinearity():
    factory = layers(None, {"type": "GN", "num_groups": 2})
    net = BasicBlock(8, 8, factory, BlockOptions())
    names = {name for name, _ in net.named_children()}
    assert {"conv1", "gn1", "relu1", "conv2", "gn2", "relu2"} <= names
    assert net.last_norm is net.gn2
    module = ConvModule(factory, 8, 8, 3, groups=2)
    assert [name for name, _ in module.named_children()] == ["conv", "gn", "relu"]


def test_a_block_without_convolutions_is_no_block():
    with pytest.raises(NotImplementedError):
        ConfiguredBlock(8, 8, layers(), BlockOptions())
