"""Recorded spikes, outputs and gradients of convolutional models with weights made from names."""

import pytest
import torch

from sj_models import create_model
from sj_neurons import functional

IF = {"type": "IF", "surrogate": "ATan", "detach_reset": True}
PLIF = {"type": "PLIF", "init_tau": 2.0, "surrogate": "ATan", "detach_reset": True}

BUILDERS = {
    "plif_mnistnet_c16": lambda: create_model("MNISTNet", neuron=PLIF, channels=16),
    "sew_resnet18_add": lambda: create_model("sew_resnet18", neuron=IF, num_classes=10, cnf="ADD"),
    "spiking_resnet18": lambda: create_model("spiking_resnet18", neuron=IF, num_classes=10),
    "spiking_vgg11_bn": lambda: create_model("spiking_vgg11_bn", neuron=IF, num_classes=10),
}


@pytest.mark.parametrize("name", BUILDERS)
def test_spikes_of_every_layer_and_output(name, recorded_model):
    recorded = recorded_model(name, BUILDERS[name]())
    for backend in ("torch", "auto"):
        recorded.check(backend)


@pytest.mark.parametrize("backend", ["torch", "auto"])
def test_gradients_of_every_parameter(backend, recorded_model):
    name = "plif_mnistnet_c16"
    recorded = recorded_model(name, BUILDERS[name]())
    net = recorded.net
    functional.set_backend(net, backend)
    scores = net(recorded.x).mean(0)
    (scores * torch.arange(1.0, scores.shape[1] + 1)).sum().backward()
    grads = {key: parameter.grad for key, parameter in net.named_parameters()}
    compared = set()
    for entry, expected in recorded.arrays.items():
        kind, _, key = entry.partition("::")
        if kind == "grad":
            atol = 1e-5 * float(expected.abs().max())
            torch.testing.assert_close(grads[key], expected, rtol=1e-5, atol=atol)
        elif kind == "gradnorm":
            norm = grads[key].double().norm().item()
            assert norm == pytest.approx(float(expected), rel=1e-5)
        else:
            continue
        compared.add(key)
    assert compared == set(grads)
