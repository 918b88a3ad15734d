"""Fused copies of whole models give the same spikes."""

import pytest
import torch

import sj_layers
from sj_models import CSNN, spiking_resnet18
from sj_neurons import functional, monitor, neuron

MODELS = {
    "csnn": (lambda: CSNN(4, 8), (2, 1, 28, 28)),
    "spiking_resnet18": (
        lambda: spiking_resnet18(spiking_neuron=neuron.IFNode, num_classes=10),
        (3, 2, 3, 32, 32),
    ),
}


def spikes(net: torch.nn.Module, x: torch.Tensor) -> list[torch.Tensor]:
    functional.reset_net(net)
    with monitor.OutputMonitor(net, neuron.BaseNode) as seen:
        net(x)
    return list(seen.records)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("name", MODELS)
def test_every_layer_spikes_as_before(name: str, training: bool) -> None:
    build, shape = MODELS[name]
    net = build()
    functional.set_step_mode(net, "m") if name != "csnn" else None
    x = 2 * torch.rand(shape)
    with torch.no_grad():
        net(x)  # running statistics of this input
        functional.reset_net(net)
        net.train(training)
        fused = sj_layers.fuse(net, training=training)
        if training:
            assert list(fused.state_dict()) == list(net.state_dict())
        ours, theirs = spikes(fused, x), spikes(net, x)
    differing = sum(int((a != b).sum()) for a, b in zip(ours, theirs, strict=True))
    assert sum(int(s.sum()) for s in theirs) > 100
    assert differing == 0
