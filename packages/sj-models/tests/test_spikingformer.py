"""Spikingformer."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from sj_models import spikingformer
from sj_neurons import neuron


@pytest.mark.parametrize(
    ("name", "millions"),  # as published, cut off or rounded
    [
        ("spikingformer_8_384", 16.81),
        ("spikingformer_8_512", 29.68),
        ("spikingformer_8_768", 66.34),
    ],
)
def test_parameters_of_the_sizes(name, millions):
    with torch.device("meta"):
        net = getattr(spikingformer, name)()
    parameters = sum(parameter.numel() for parameter in net.parameters())
    assert abs(parameters / 1e6 - millions) < 0.01


def test_every_convolution_but_the_first_reads_spikes():
    torch.manual_seed(0)
    net = spikingformer.Spikingformer(2, embed_dims=8, num_heads=1, depths=2, num_classes=3)
    binary = {}
    for name, module in net.named_modules():
        if isinstance(module, nn.Conv1d | nn.Conv2d):
            module.register_forward_pre_hook(
                lambda module, args, name=name: binary.__setitem__(
                    name, bool(((args[0] == 0) | (args[0] == 1)).all())
                )
            )
    net(torch.rand(2, 3, 32, 32))
    assert [name for name, spikes in binary.items() if not spikes] == ["patch_embed.0.0"]
    assert len(binary) == 5 + 2 * 4


def test_no_block_ends_in_a_neuron():
    net = spikingformer.Spikingformer(embed_dims=8, num_heads=1, depths=1)
    block = net.blocks[0]
    for branch, last in ((block.attn, block.attn.proj), (block.mlp, block.mlp.bn2)):
        assert not isinstance(last, neuron.BaseNode)
        assert isinstance(branch, nn.Module)
