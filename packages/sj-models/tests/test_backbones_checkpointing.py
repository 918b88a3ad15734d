"""Blocks that are computed again give the same outputs, gradients, states and statistics."""

import pytest
import torch

from sj_models.backbones.mobilenet_v2 import MobileNetV2
from sj_models.backbones.resnet import ResNet
from sj_neurons import functional
from sj_neurons.base import extract_memories

NETS = {
    "basic": (ResNet, {"depth": 18, "base_channels": 4, "stem_channels": 4}),
    "sew": (ResNet, {"depth": 18, "base_channels": 4, "stem_channels": 4, "residual": "sew"}),
    "mobilenet": (MobileNetV2, {"widen_factor": 0.1, "out_indices": 3}),
}


def trained(name, neuron, with_cp):
    """Outputs, gradients, states and statistics after two chunks of a sequence."""
    torch.manual_seed(0)
    cls, arguments = NETS[name]
    net = cls(**arguments, neuron=neuron, with_cp=with_cp).train()
    shape = (2, 2, 3, 32, 32) if neuron else (2, 3, 32, 32)
    chunks = [2 * torch.rand(shape) for _ in range(2)]
    outputs = [net(chunk)[-1] for chunk in chunks]
    sum(y.square().sum() for y in outputs).backward()
    states = [s.detach() for s in extract_memories(net) if isinstance(s, torch.Tensor)]
    gradients = [p.grad for p in net.parameters() if p.grad is not None]
    return [y.detach() for y in outputs], gradients, states, list(net.buffers())


@pytest.mark.parametrize("neuron", [None, "LIF"])
@pytest.mark.parametrize("name", NETS)
def test_training_is_the_same(name, neuron):
    plain, again = trained(name, neuron, False), trained(name, neuron, True)
    assert bool(plain[2]) == (neuron is not None)
    for expected, values in zip(plain, again, strict=True):
        torch.testing.assert_close(values, expected, rtol=1e-5, atol=1e-6)


def test_fewer_activations_are_kept():
    kept = {}
    for with_cp in (False, True):
        torch.manual_seed(0)
        net = ResNet(18, base_channels=4, stem_channels=4, with_cp=with_cp, neuron="IF")
        total = 0

        def pack(tensor):
            nonlocal total
            total += tensor.numel()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            net(torch.rand(2, 1, 3, 32, 32))
        functional.reset_net(net)
        kept[with_cp] = total
    assert kept[True] < 0.7 * kept[False]


def test_without_gradients_blocks_run_as_usual():
    net = ResNet(18, base_channels=4, stem_channels=4, with_cp=True).eval()
    with torch.no_grad():
        assert net(torch.rand(1, 3, 32, 32))[-1].shape == (1, 32, 1, 1)
