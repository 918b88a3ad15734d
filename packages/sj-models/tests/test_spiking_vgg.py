"""Spiking VGGs at small plans; sizes of the published ones are in test_all_models."""

import pytest
import torch
from torch import nn

from sj_models import spiking_vgg
from sj_models.spiking_vgg import SpikingVGG
from sj_neurons import functional, neuron

PLAN = [4, "M", 8, "M"]


def small_net(**arguments) -> SpikingVGG:
    torch.manual_seed(0)
    given = {"spiking_neuron": neuron.IFNode, "num_classes": 3, "small_images": True}
    return SpikingVGG(PLAN, **{**given, **arguments})


def test_layers_in_order():
    kinds = [type(m).__name__ for m in small_net(batch_norm=True).features]
    group = ["Conv2d", "BatchNorm2d", "IFNode", "MaxPool2d"]
    assert kinds == group * 2
    kinds = [type(m).__name__ for m in small_net().classifier]
    assert kinds == ["Linear", "IFNode", "Dropout"] * 2 + ["Linear"]


@pytest.mark.parametrize("batch_norm", [False, True])
def test_sequences_equal_steps_and_learn(batch_norm):
    net = small_net(batch_norm=batch_norm).eval()
    x = 3 * torch.rand(3, 2, 3, 8, 8)
    steps = torch.stack([net(step) for step in x])
    functional.reset_net(net)
    functional.set_step_mode(net, "m")
    y = net(x)
    torch.testing.assert_close(y, steps)
    y.sum().backward()
    assert all(parameter.grad is not None for parameter in net.parameters())


def test_initial_values():
    net = small_net(batch_norm=True)
    assert all((m.bias == 0).all() for m in net.modules() if isinstance(m, nn.Conv2d | nn.Linear))
    weight = net.classifier[3].weight
    assert weight.std().item() == pytest.approx(0.01, rel=0.02)
    conv = net.features[4].weight  # fan out: 8 channels of 3x3
    assert conv.std().item() == pytest.approx((2 / 72) ** 0.5, rel=0.15)
    plain = small_net(init_weights=False).classifier[3]
    assert plain.weight.std().item() == pytest.approx((3 * 4096) ** -0.5, rel=0.02)
    assert plain.bias.abs().max() > 0


def test_input_channels_and_places():
    net = small_net(in_channels=2, small_images=False)
    assert net.features[0].in_channels == 2
    assert net.classifier[0].in_features == 8 * 49
    assert small_net().classifier[0].in_features == 8


def test_another_norm():
    made = []

    def norm(channels):
        made.append(channels)
        return nn.Identity()

    small_net(batch_norm=True, norm_layer=norm)
    assert made == [4, 8]
    with torch.device("meta"):
        spiking_vgg.spiking_vgg11_bn(norm_layer=norm, spiking_neuron="IF")
    assert made[2:] == [64, 128, 256, 256, 512, 512, 512, 512]


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        (["M"], "at least one convolution"),
        ([4, "X"], "got 'X'"),
        ([0], "got 0"),
        ([True], "got True"),
        ("M", "cfg must be a list"),
        (None, "cfg must be a list"),
    ],
)
def test_plans_that_are_none(plan, message):
    with pytest.raises(ValueError, match=message):
        SpikingVGG(plan, spiking_neuron=neuron.IFNode)


def test_single_steps_have_no_mean():
    with pytest.raises(ValueError, match=r"set_step_mode\(net, 'm'\)"):
        small_net(output="mean")(torch.rand(2, 3, 8, 8))
