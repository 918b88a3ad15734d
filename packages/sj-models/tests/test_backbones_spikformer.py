"""Spikformer as a backbone."""

from __future__ import annotations

import pytest
import torch

from sj_models.backbones.spikformer import Spikformer
from sj_models.registry import MODELS
from sj_models.spikformer import Spikformer as Network
from sj_neurons import functional, neuron

SIZE = {"embed_dims": 16, "depth": 2, "num_heads": 2, "patch_size": 4}


def test_is_registered_and_built_from_a_config():
    config = {"type": "Spikformer", **SIZE, "neuron": {"type": "PLIF", "init_tau": 3.0}}
    backbone = MODELS.build(config)
    assert isinstance(backbone, Spikformer)
    nodes = [m for m in backbone.modules() if isinstance(m, neuron.BaseNode)]
    assert {type(node) for node in nodes} == {neuron.ParametricLIFNode}
    assert len(nodes) == 5 + 2 * 5


def test_features_of_the_chosen_blocks():
    backbone = Spikformer(**SIZE, out_indices=(0, -1), in_channels=2)
    features = backbone(torch.rand(3, 2, 2, 16, 24))
    assert [feature.shape for feature in features] == [(3, 2, 16, 4, 6)] * 2
    assert backbone.spiking
    assert (backbone.out_channels, backbone.strides) == ((16, 16), (4, 4))


def test_is_the_network_of_the_zoo_without_its_head():
    torch.manual_seed(0)
    net = Network(T=2, embed_dims=16, depths=2, num_heads=2, patch_size=4, num_classes=5)
    backbone = Spikformer(**SIZE)
    weights = {k: v for k, v in net.state_dict().items() if not k.startswith("head.")}
    backbone.load_state_dict(weights)
    x_seq = torch.rand(2, 3, 3, 16, 16)
    (maps,) = backbone(x_seq)
    torch.testing.assert_close(net.head(maps.flatten(3).mean(3)), net(x_seq))


def test_frozen_parts_and_depths():
    backbone = Spikformer(**SIZE, frozen_stages=1).train()
    frozen = {n for n, p in backbone.named_parameters() if not p.requires_grad}
    parts = ("patch_embed.", "blocks.0.")
    assert frozen == {n for n, _ in backbone.named_parameters() if n.startswith(parts)}
    assert not backbone.blocks[0].training
    assert backbone.blocks[1].training
    names = ("patch_embed.stages.0.conv_bn.block.0.weight", "blocks.1.mlp.fc1.0.weight", "head")
    assert [backbone.get_layer_depth(name) for name in names] == [(0, 4), (2, 4), (3, 4)]


def test_the_gradient_reaches_the_stem():
    backbone = Spikformer(**SIZE)
    backbone(torch.rand(2, 2, 3, 16, 16))[0].sum().backward()
    functional.reset_net(backbone)
    assert all(parameter.grad is not None for parameter in backbone.parameters())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"embed_dims": 12}, "embed_dims must be a multiple of 8"),
        ({"depth": 0}, "depth at least 1"),
        ({"patch_size": 8}, "patch_size must be 16 or 4"),
        ({"frozen_stages": 3}, "frozen_stages must be at most 2"),
        ({"out_indices": 2}, "out_indices must be from -2 to 1"),
    ],
)
def test_wrong_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        Spikformer(**{**SIZE, **arguments})


def test_an_image_must_be_repeated_first():
    with pytest.raises(ValueError, match="repeat or encode"):
        Spikformer(**SIZE)(torch.rand(2, 3, 16, 16))
