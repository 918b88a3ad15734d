"""VGGs trained online."""

import pytest
import torch

from sj_models.spiking_vggws_ottt import OTTTSpikingVGG
from sj_neurons import functional, neuron

PLAN = [4, "A", 8, "M"]


def test_layers_in_order():
    net = OTTTSpikingVGG(PLAN, num_classes=3, drop_rate=0.1)
    kinds = [type(m).__name__ for m in net.features]
    group = ["WSConv2d", "OTTTLIFNode", "Scale", "Dropout"]
    assert kinds == [*group, "AvgPool2d", *group, "MaxPool2d"]
    assert net.features[2](torch.ones(1)).item() == pytest.approx(2.74)
    plain = OTTTSpikingVGG(PLAN, weight_standardization=False, num_classes=3)
    assert [type(m).__name__ for m in plain.features][:3] == ["Conv2d", "OTTTLIFNode", "AvgPool2d"]


def test_heads():
    light = OTTTSpikingVGG(PLAN, num_classes=3)
    assert [type(m).__name__ for m in light.classifier][2:] == ["Linear"]
    assert light.last_layer == "classifier.2"
    full = OTTTSpikingVGG(PLAN, num_classes=3, light_classifier=False)
    assert [type(m).__name__ for m in full.classifier][2:6] == [
        "WSLinear", "OTTTLIFNode", "Scale", "Dropout",
    ]  # fmt: skip
    assert full.last_layer == "classifier.10"


def test_every_step_has_its_own_backward_pass():
    net = OTTTSpikingVGG(PLAN, num_classes=3)
    for x in 3 * torch.rand(3, 2, 3, 8, 8):
        net(x).sum().backward()
    assert all(parameter.grad.isfinite().all() for parameter in net.parameters())
    functional.reset_net(net)


def test_other_neurons_take_sequences():
    net = OTTTSpikingVGG(PLAN, num_classes=3, spiking_neuron=neuron.LIFNode, tau=3.0)
    functional.set_step_mode(net, "m")
    assert net(torch.rand(2, 1, 3, 8, 8)).shape == (2, 1, 3)
    assert net.features[1].tau == 3.0


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"cfg": ["A"]}, ValueError, "at least one convolution"),
        ({"cfg": [4, "X"]}, ValueError, "got 'X'"),
        ({"num_classes": 0}, ValueError, "num_classes must be"),
        ({"tauu": 2.0}, TypeError, "takes no argument 'tauu'"),
    ],
)
def test_mistakes_are_found_at_construction(arguments, error, message):
    with pytest.raises(error, match=message):
        OTTTSpikingVGG(**{"cfg": PLAN, **arguments})
