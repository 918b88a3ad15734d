"""Max-Former."""

from __future__ import annotations

import pytest
import torch

from sj_models import maxformer
from sj_models.transformer_parts import MembraneSelfAttention, SpikingSelfAttention


@pytest.mark.parametrize(
    ("name", "parameters", "depths", "heads"),
    [("maxformer_10_384", 16_236_616, [1, 2, 7], 6), ("maxformer_cifar", 6_602_932, [1, 1, 2], 8)],
)
def test_parameters_of_the_sizes(name, parameters, depths, heads):
    with torch.device("meta"):
        net = getattr(maxformer, name)()
    assert sum(parameter.numel() for parameter in net.parameters()) == parameters
    assert [len(stage) for stage in (net.stage1, net.stage2, net.stage3)] == depths
    assert net.stage3[0].attn.num_heads == heads


def kernels(net: torch.nn.Module) -> list[tuple[int, ...]]:
    return [
        module.kernel_size
        for module in net.modules()
        if isinstance(module, torch.nn.Conv2d) and module.groups > 1
    ]


def test_local_mixing_by_stage():
    size = {"embed_dims": 8, "depths": (1, 1, 1)}
    assert kernels(maxformer.MaxFormer(**size)) == [(7, 7), (5, 5)]
    assert kernels(maxformer.MaxFormer(**size, cifar=True)) == [(3, 3)]
    assert kernels(maxformer.MaxFormer(**size, small_images=True)) == [(3, 3)]


@pytest.mark.parametrize("cifar", [False, True])
@pytest.mark.parametrize("membrane", [None, False, True])
def test_kind_of_attention(cifar, membrane):
    net = maxformer.MaxFormer(
        1, embed_dims=8, depths=(1, 1, 1), cifar=cifar, membrane_attention=membrane
    )
    begins_with_neuron = cifar if membrane is None else membrane
    kind = MembraneSelfAttention if begins_with_neuron else SpikingSelfAttention
    assert type(net.stage3[0].attn) is kind
    assert net(torch.rand(1, 3, 32, 32)).shape == (1, 1, 1000)


@pytest.mark.parametrize("depths", [(1, 1), (1, 1, 0), 3])
def test_wrong_depths(depths):
    with pytest.raises(ValueError, match="depths must be 3 whole numbers"):
        maxformer.MaxFormer(embed_dims=8, depths=depths)
