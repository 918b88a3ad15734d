"""Recorded spikes and outputs of the spiking transformers with weights made from their names."""

import json
import math
import zlib

import numpy as np
import pytest
import torch

from sj_models import qkformer, spike_driven_transformer, spikformer
from sj_neurons import neuron

BUILDERS = {
    "spikformer_ti": lambda: spikformer.spikformer_ti(
        T=4, img_size_h=64, img_size_w=64, num_classes=10
    ),
    "spikformer_tiny_custom": lambda: spikformer.Spikformer(
        T=4, img_size_h=64, img_size_w=64, num_classes=10, embed_dims=64, num_heads=4, depths=2
    ),
    "qkformer_tiny_custom": lambda: qkformer.QKFormer(
        T=4, num_classes=10, embed_dims=64, num_heads=(2, 2, 4), depths=(1, 1, 1), output="mean"
    ),
    "sdt_tiny_custom": lambda: spike_driven_transformer.SpikeDrivenTransformer(
        T=4, num_classes=10, embed_dims=64, num_heads=4, depths=2, output="mean"
    ),
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


@pytest.mark.parametrize("backend", ["torch", "auto"])
@pytest.mark.parametrize("name", BUILDERS)
def test_spikes_of_every_layer_and_output(name, backend, goldens):
    from sj_neurons import functional

    golden = json.loads((goldens / "models" / f"{name}.json").read_text())
    net = BUILDERS[name]().eval()
    functional.set_backend(net, backend)
    state = net.state_dict()
    assert {key: list(value.shape) for key, value in state.items()} == golden["state_dict"]
    assert list(state) == list(golden["state_dict"])
    assert sum(p.numel() for p in net.parameters()) == golden["params"]
    fill(net, golden["gain"])
    for key, checksum in golden["weights_crc32"].items():
        assert crc32(net.state_dict()[key]) == checksum

    spikes: dict[str, torch.Tensor] = {}
    for path, module in net.named_modules():
        if isinstance(module, neuron.BaseNode):
            module.register_forward_hook(
                lambda module, args, output, path=path: spikes.__setitem__(path, output)
            )
    generator = torch.Generator().manual_seed(golden["input_seed"])
    x = torch.randint(0, 256, golden["input_shape"], generator=generator).float() / 256
    assert crc32(x) == golden["input_crc32"]
    with torch.no_grad():
        y = net(x)

    assert list(spikes) == [layer["layer"] for layer in golden["layers"]]
    for layer in golden["layers"]:
        packed = np.packbits(spikes[layer["layer"]].numpy().astype(np.uint8).ravel())
        assert zlib.crc32(packed.tobytes()) == layer["crc32"], layer["layer"]
    with np.load(goldens / "models" / f"{name}.npz") as arrays:
        torch.testing.assert_close(y, torch.from_numpy(arrays["output"]), rtol=0, atol=1e-4)
