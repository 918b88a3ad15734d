"""E-SpikeFormer."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from sj_models import e_spikeformer
from sj_models.e_spikeformer import ESpikeFormer
from sj_neurons import functional

SIZE = {"embed_dims": (8, 8, 16, 16), "num_heads": 2, "depths": (1, 1), "num_classes": 5}


@pytest.mark.parametrize(
    ("name", "millions"),
    [("e_spikeformer_5m", 5.1), ("e_spikeformer_10m", 10.0), ("e_spikeformer_19m", 19.0)],
)
def test_parameters_of_the_sizes(name, millions):
    with torch.device("meta"):
        net = getattr(e_spikeformer, name)()
    parameters = sum(parameter.numel() for parameter in net.parameters())
    assert round(parameters / 1e6, 1) == millions


def lively(net: nn.Module) -> nn.Module:
    generator = torch.Generator().manual_seed(1)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 1.0, 3.0, generator=generator)
            nn.init.uniform_(module.bias, 0.0, 2.0, generator=generator)
    return net.eval()


@pytest.mark.parametrize("output", ["steps", "mean", "last"])
@pytest.mark.parametrize("levels", [1, 3])
def test_spikes_compute_what_numbers_do(levels, output):
    torch.manual_seed(0)
    net = lively(ESpikeFormer(T=2, levels=levels, output=output, **SIZE).double())
    images = torch.rand(3, 3, 32, 32, dtype=torch.float64)
    with torch.no_grad():
        numbers = net(images)
        functional.reset_net(net)
        assert net.spike_driven() is net
        spikes = net(images)
        functional.reset_net(net)
        net.spike_driven(False)
        again = net(images)
    assert numbers.std() > 0
    torch.testing.assert_close(spikes, numbers)
    torch.testing.assert_close(again, numbers, rtol=0, atol=0)


def test_convolutions_read_spikes_when_spike_driven():
    torch.manual_seed(0)
    net = lively(ESpikeFormer(T=1, **SIZE)).spike_driven()
    seen = {}
    for name, module in net.named_modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_pre_hook(
                lambda module, args, name=name: seen.__setitem__(name, args[0])
            )
    with torch.no_grad():
        net(torch.rand(2, 3, 32, 32))
    first, *others = seen
    assert first == "stem.0"
    for name in others:
        assert seen[name].shape[0] == 4
        assert ((seen[name] == 0) | (seen[name] == 1)).all(), name


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"embed_dims": (8, 8, 16)}, "embed_dims must be 4 whole numbers"),
        ({"depths": (1,)}, "depths must be 2 whole numbers"),
        ({"embed_dims": (7, 8, 16, 16)}, "multiple of 2"),
        ({"depths": (0, 1)}, "depths must be 2 whole numbers"),
        ({"embed_dims": (8, 0, 16, 16)}, "embed_dims must be 4 whole numbers"),
        ({"num_heads": 3}, "multiple of num_heads"),
    ],
)
def test_wrong_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        ESpikeFormer(**{**SIZE, **arguments})
