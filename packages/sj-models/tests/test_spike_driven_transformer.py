"""Spike-driven Transformer."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from sj_models import spike_driven_transformer as sdt
from sj_models.transformer_parts import Neurons
from sj_neurons import functional


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("sdt_8_384", 16_816_744),
        ("sdt_8_512", 29_690_344),
        ("sdt_10_512", 36_006_376),
        ("sdt_8_768", 66_340_072),
    ],
)
def test_parameters_of_the_sizes(name, parameters):
    with torch.device("meta"):
        net = getattr(sdt, name)()
    assert sum(parameter.numel() for parameter in net.parameters()) == parameters


class Fixed(nn.Module):
    """Gives the same whatever it sees."""

    def __init__(self, y: torch.Tensor) -> None:
        super().__init__()
        self.y = y

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.y


def test_attention_is_its_formula():
    layer = sdt.SpikeDrivenSelfAttention(4, 2, Neurons("test", None, {}))
    functional.set_step_mode(layer, "m")
    generator = torch.Generator().manual_seed(0)
    q, k, v = (torch.rand(6, 2, 4, 3, 3, generator=generator).gt(0.8).float() for _ in range(3))
    layer.q_lif, layer.k_lif, layer.v_lif = Fixed(q), Fixed(k), Fixed(v)
    layer.proj_conv, layer.proj_bn = nn.Identity(), nn.Identity()

    totals = torch.einsum("tnchw,tnchw->tnc", k.double(), v.double())
    potential, masks = torch.zeros_like(totals[0]), []
    for total in totals:
        h = potential + (total - potential) / 2.0
        masks.append((h >= 0.5).double())
        potential = h * (h < 0.5)
    expected = q.double() * torch.stack(masks)[..., None, None]
    assert 0 < expected.mean() < q.mean()
    y = layer(torch.rand(6, 2, 4, 3, 3))
    torch.testing.assert_close(y.double(), expected, rtol=0, atol=0)


@pytest.mark.parametrize(("stat", "side"), [("1111", 2), ("0011", 8), ("0000", 32), ("1000", 16)])
def test_stages_that_pool(stat, side):
    net = sdt.SpikeDrivenTransformer(1, embed_dims=8, num_heads=1, depths=1, pooling_stat=stat)
    assert net.patch_embed(torch.rand(1, 1, 3, 32, 32)).shape == (1, 1, 8, side, side)


@pytest.mark.parametrize("stat", ["111", "0012", "11111"])
def test_wrong_pooling(stat):
    with pytest.raises(ValueError, match="four digits 0 or 1"):
        sdt.SpikeDrivenTransformer(embed_dims=8, num_heads=1, depths=1, pooling_stat=stat)


def test_shortcuts_carry_currents():
    net = sdt.SpikeDrivenTransformer(1, embed_dims=8, num_heads=1, depths=1)
    x_seq = torch.rand(1, 1, 8, 2, 2)
    block = net.blocks[0]
    nn.init.zeros_(block.attn.proj_bn.weight)
    nn.init.zeros_(block.mlp.bn2.weight)
    torch.testing.assert_close(block(x_seq), x_seq)
