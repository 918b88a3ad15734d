"""Recorded spikes, outputs and gradients of convolutional models with weights made from names."""

import json
import math
import zlib

import numpy as np
import pytest
import torch

from sj_models import create_model
from sj_neurons import functional, neuron

IF = {"type": "IF", "surrogate": "ATan", "detach_reset": True}
PLIF = {"type": "PLIF", "init_tau": 2.0, "surrogate": "ATan", "detach_reset": True}

BUILDERS = {
    "plif_mnistnet_c16": lambda: create_model("MNISTNet", neuron=PLIF, channels=16),
    "sew_resnet18_add": lambda: create_model("sew_resnet18", neuron=IF, num_classes=10, cnf="ADD"),
    "spiking_resnet18": lambda: create_model("spiking_resnet18", neuron=IF, num_classes=10),
    "spiking_vgg11_bn": lambda: create_model("spiking_vgg11_bn", neuron=IF, num_classes=10),
}


def crc32(tensor: torch.Tensor) -> int:
    return zlib.crc32(tensor.contiguous().numpy().tobytes())


def fill(net: torch.nn.Module, gain: float) -> None:
    """Integer weights times a power of two, so that every sum is exact in float32."""
    state = net.state_dict()
    for key, value in state.items():
        owner, _, name = key.rpartition(".")
        normalised = f"{owner}.running_mean" in state
        if value.dim() == 0:
            continue
        if name in ("running_mean", "running_var"):
            value.fill_(float(name == "running_var"))
        elif normalised:
            value.fill_(float(name == "weight"))
        else:
            generator = torch.Generator().manual_seed(zlib.crc32(key.encode()))
            digits = torch.randint(-127, 128, value.shape, generator=generator).float()
            fan_in = math.prod(value.shape[1:])
            exponent = round(math.log2(gain / (73.61 * math.sqrt(fan_in))))
            value.copy_(digits * 2.0 ** (-10 if name == "bias" else exponent))


def filled(name: str, golden: dict) -> torch.nn.Module:
    """The model with the recorded weights, which are checked."""
    net = BUILDERS[name]().eval()
    functional.set_step_mode(net, "m")
    state = net.state_dict()
    assert {key: list(value.shape) for key, value in state.items()} == golden["state_dict"]
    assert list(state) == list(golden["state_dict"])
    assert sum(parameter.numel() for parameter in net.parameters()) == golden["params"]
    fill(net, golden["gain"])
    for key, checksum in golden["weights_crc32"].items():
        assert crc32(net.state_dict()[key]) == checksum
    return net


def recorded_input(golden: dict) -> torch.Tensor:
    generator = torch.Generator().manual_seed(golden["input_seed"])
    x = torch.randint(0, 256, golden["input_shape"], generator=generator).float() / 256
    assert crc32(x) == golden["input_crc32"]
    return x


@pytest.mark.parametrize("name", BUILDERS)
def test_spikes_of_every_layer_and_output(name, goldens):
    golden = json.loads((goldens / "models" / f"{name}.json").read_text())
    net, x = filled(name, golden), recorded_input(golden)
    spikes: dict[str, torch.Tensor] = {}
    for path, module in net.named_modules():
        if isinstance(module, neuron.BaseNode):
            module.register_forward_hook(
                lambda module, args, output, path=path: spikes.__setitem__(path, output)
            )
    with np.load(goldens / "models" / f"{name}.npz") as arrays:
        expected = torch.from_numpy(arrays["output"])
    for backend in ("torch", "auto"):
        functional.reset_net(net)
        functional.set_backend(net, backend)
        with torch.no_grad():
            y = net(x)
        assert list(spikes) == [layer["layer"] for layer in golden["layers"]]
        for layer in golden["layers"]:
            fired = spikes[layer["layer"]]
            assert list(fired.shape) == layer["shape"]
            packed = np.packbits(fired.numpy().astype(np.uint8).ravel())
            assert zlib.crc32(packed.tobytes()) == layer["crc32"], layer["layer"]
        torch.testing.assert_close(y, expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("backend", ["torch", "auto"])
def test_gradients_of_every_parameter(backend, goldens):
    name = "plif_mnistnet_c16"
    golden = json.loads((goldens / "models" / f"{name}.json").read_text())
    net, x = filled(name, golden), recorded_input(golden)
    functional.set_backend(net, backend)
    scores = net(x).mean(0)
    (scores * torch.arange(1.0, scores.shape[1] + 1)).sum().backward()
    grads = {key: parameter.grad for key, parameter in net.named_parameters()}
    compared = set()
    with np.load(goldens / "models" / f"{name}.npz") as arrays:
        for entry in arrays.files:
            kind, _, key = entry.partition("::")
            if kind == "grad":
                expected = torch.from_numpy(arrays[entry])
                atol = 1e-5 * float(expected.abs().max())
                torch.testing.assert_close(grads[key], expected, rtol=1e-5, atol=atol)
            elif kind == "gradnorm":
                norm = grads[key].double().norm().item()
                assert norm == pytest.approx(float(arrays[entry]), rel=1e-5)
            else:
                continue
            compared.add(key)
    assert compared == set(grads)
