"""MS-ResNets: membrane shortcuts."""

import pytest
import torch
from torch import nn

from sj_models.ms_resnet import (
    AttBlock,
    AttMSResNet,
    MaxBlock,
    MaxResNet,
    MSBlock,
    MSResNet,
    max_resnet18,
)
from sj_models.neurons import NeuronFactory
from sj_neurons import functional, neuron, surrogate

LIF = NeuronFactory("test", "LIF")
SMALL = {"layers": (1, 1), "base_channels": 8, "num_classes": 3, "small_images": True}


@pytest.mark.parametrize("block", [MSBlock, MaxBlock, AttBlock])
@pytest.mark.parametrize("stride", [1, 2])
def test_a_silent_branch_passes_the_shortcut_on(block, stride):
    made = block(8, 8, stride, LIF).eval()
    functional.set_step_mode(made, "m")
    nn.init.zeros_(made.bn2.weight)
    x = torch.randn(2, 1, 8, 6, 6)
    expected = x if made.downsample is None else made.downsample(x)
    y = made(x)
    assert y.shape[-1] == 6 // stride
    torch.testing.assert_close(y, expected)


def test_the_max_block_pools_before_the_second_neuron():
    made = MaxBlock(8, 16, 2, LIF)
    assert made.conv1.stride == (1, 1)
    assert isinstance(made.max_pool, nn.MaxPool2d)
    assert isinstance(MaxBlock(8, 8, 1, LIF).max_pool, nn.Identity)


def test_neurons_of_the_papers():
    for cls, tau, threshold, kind in (
        (MSResNet, 4 / 3, 0.5, surrogate.Rect),
        (MaxResNet, 2.0, 1.0, surrogate.Sigmoid),
        (AttMSResNet, 4 / 3, 0.5, surrogate.Rect),
    ):
        nodes = [m for m in cls(**SMALL).modules() if isinstance(m, neuron.LIFNode)]
        assert len(nodes) == 5
        assert {(node.tau, node.v_threshold, node.detach_reset) for node in nodes} == {
            (tau, threshold, True)
        }
        assert all(isinstance(node.surrogate_function, kind) for node in nodes)
    given = MSResNet(**SMALL, spiking_neuron=neuron.IFNode).head_lif
    assert (given.v_threshold, given.detach_reset) == (1.0, False)
    assert MSResNet(**SMALL, v_threshold=0.25).head_lif.v_threshold == 0.25


def test_norms_start_at_the_weights_of_the_papers():
    for cls, weights in (
        (MSResNet, (0.5, 0.0)),
        (MaxResNet, (1.0, 1.0)),
        (AttMSResNet, (0.5, 0.1)),
    ):
        block = cls(**SMALL).layer1[0]
        found = tuple(bn.weight[0].item() for bn in (block.bn1, block.bn2))
        assert found == pytest.approx(weights)


@pytest.mark.parametrize("cls", [MSResNet, MaxResNet, AttMSResNet])
def test_an_image_is_a_sequence_of_itself(cls):
    net = cls(T=3, **SMALL).eval()
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.ones_(module.weight)
    image = torch.rand(2, 3, 8, 8)
    with torch.no_grad():
        y = net(image)
        functional.reset_net(net)
        assert y.shape == (3, 2, 3)
        torch.testing.assert_close(net(image.repeat(3, 1, 1, 1, 1)), y)


def test_stems():
    stem = MSResNet(layers=(1,), stem_pool=True).stem
    assert [type(m).__name__ for m in stem] == ["Conv2d", "BatchNorm2d", "MaxPool2d"]
    assert stem[0].kernel_size == (7, 7)
    small = MSResNet(layers=(1,), stem_pool=True, small_images=True)
    assert [type(m).__name__ for m in small.stem] == ["Conv2d", "BatchNorm2d"]
    assert (small.stem[0].stride, small.layer1[0].conv1.stride) == ((1, 1), (1, 1))
    with torch.device("meta"):
        assert max_resnet18(in_channels=2).stem[0].in_channels == 2


@pytest.mark.parametrize("model", [MSResNet, MaxResNet, AttMSResNet])
@pytest.mark.parametrize("size", [(9, 9), (11, 8)])
def test_images_of_odd_sizes(model, size):
    assert model(T=1, **SMALL)(torch.rand(2, 3, *size)).shape == (1, 2, 3)


def test_attention_takes_any_number_of_steps():
    net = AttMSResNet(T=2, reduction_c=4, dropout=0.5, **SMALL)
    assert net.layer1[0].attention.ca.sharedMLP[0].out_channels == 2
    assert net.dropout.p == 0.5
    assert net(torch.rand(5, 1, 3, 8, 8)).shape == (5, 1, 3)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"layers": (1, 0)}, ValueError, "MSResNet: layers must be whole numbers"),
        ({"layers": 3}, ValueError, "MSResNet: layers must be whole numbers"),
        ({"stage_channels": (8,)}, ValueError, "MSResNet: stage_channels must be 2 whole numbers"),
        ({"T": 0}, ValueError, "T must be"),
        ({"tauu": 2.0}, TypeError, "takes no argument 'tauu'; did you mean 'tau'"),
    ],
)
def test_mistakes_are_found_at_construction(arguments, error, message):
    with pytest.raises(error, match=message):
        MSResNet(**{**SMALL, **arguments})


def test_inputs_of_another_shape():
    with pytest.raises(ValueError, match=r"expected images \[N, C, H, W\]"):
        MSResNet(**SMALL)(torch.rand(2, 4, 8, 8))
