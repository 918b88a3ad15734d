"""Spikformer."""

from __future__ import annotations

import pytest
import torch

from sj_models import spikformer
from sj_neurons import neuron


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("spikformer_ti", 4_400_392),
        ("spikformer_s", 13_244_824),
        ("spikformer_cifar10", 9_310_906),
        ("spikformer_8_384", 16_797_592),
        ("spikformer_8_512", 29_664_808),
        ("spikformer_8_768", 66_301_768),
    ],
)
def test_parameters_of_the_sizes(name, parameters):
    with torch.device("meta"):
        net = getattr(spikformer, name)()
    assert sum(parameter.numel() for parameter in net.parameters()) == parameters


def test_keys_in_the_order_of_the_layers():
    net = spikformer.Spikformer(embed_dims=8, num_heads=1, depths=1, num_classes=2)
    norm = ["weight", "bias", "running_mean", "running_var", "num_batches_tracked"]
    stem = [f"patch_embed.stages.{stage}.conv_bn.block" for stage in range(4)]
    pairs = [
        *stem,
        "patch_embed.positional_encoding.conv_bn.block",
        *(f"blocks.0.attn.{part}" for part in ("qkv_conv_bn", "proj_conv_bn")),
        *(f"blocks.0.mlp.{part}" for part in ("fc1", "fc2")),
    ]
    keys = [key for pair in pairs for key in (f"{pair}.0.weight", *(f"{pair}.1.{n}" for n in norm))]
    assert list(net.state_dict()) == [*keys, "head.weight", "head.bias"]


def test_first_weights_are_small_and_normal():
    net = spikformer.Spikformer(embed_dims=64, num_heads=1, depths=1)
    weight = net.blocks[0].attn.qkv_conv_bn[0].weight
    assert abs(weight.std().item() - 0.02) < 2e-3
    assert net.head.bias.abs().max() == 0


def test_pools_in_every_stage_or_in_the_last_two():
    for patch_size, sides in ((16, [16, 8, 4, 2]), (4, [32, 32, 16, 8])):
        net = spikformer.Spikformer(T=1, patch_size=patch_size, embed_dims=8, num_heads=1, depths=1)
        x = torch.rand(1, 1, 3, 32, 32)
        for stage, side in zip(net.patch_embed.stages, sides, strict=True):
            x = stage(x)
            assert x.shape[-1] == side


def test_default_neuron():
    net = spikformer.Spikformer(embed_dims=8, num_heads=1, depths=1)
    node = net.patch_embed.stages[0].neuron
    assert isinstance(node, neuron.LIFNode)
    assert (node.tau, node.detach_reset, node.step_mode) == (2.0, True, "m")
    assert (node.decay_input, node.v_reset, node.v_threshold) == (True, 0.0, 1.0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"patch_size": 8}, "patch_size must be 16 or 4, got 8"),
        ({"img_size_h": 8}, "at least one patch of 16 pixels"),
        ({"depths": 0}, "depths must be a whole number of at least 1"),
    ],
)
def test_wrong_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        spikformer.Spikformer(embed_dims=8, num_heads=1, **arguments)
